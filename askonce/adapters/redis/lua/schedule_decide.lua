-- schedule_decide: decide slots of one entry in their order, each once for all schedulers.
-- KEYS entry           ARGV most that wait, kept for, although it is paused (0, 1), first and last slot that passed and
--                           do not fire (nothing: none), their facts, then the slots
-- returns {whether what passed was noted (0, 1), for each slot: send | wait | skip | paused | known | begun}
local key = KEYS[1]
local last, open, wait, paused = unpack(redis.call('HMGET', key, 'last', 'open', 'wait', 'paused'))
local waits, newest, decided = {}, tonumber(last or -1), {}
for slot in string.gmatch(wait or '', '%S+') do
  waits[#waits + 1] = slot
  waits[slot] = true
end

local noted = 0
if last and tonumber(ARGV[5]) and tonumber(ARGV[5]) > newest then
  noted = 1
  schedule_note(key, ARGV[4], 'missed', ARGV[6])
  newest = tonumber(ARGV[5])
end

-- A person sees at once what became of a slot by hand: it is noted where it fires.
local function refuse(slot, by_hand, what, noted)
  if not by_hand then schedule_note(key, slot, noted) end
  return what
end

local function decide(slot)
  local at, by_hand = tonumber(string.match(slot, '^%d+')), string.sub(slot, -1) == 'h'
  if slot == open or waits[slot] then return 'known' end
  if not by_hand then
    if last and at <= newest then return 'known' end
    newest = math.max(newest, at)
    if not last then return 'begun' end
  end
  if paused and ARGV[3] == '0' then return refuse(slot, by_hand, 'paused', 'paused') end
  if not open and #waits == 0 then
    open = slot
    schedule_send(key, slot)
    if paused then redis.call('HSET', key, 'forced', 1) end
    return 'send'
  end
  if #waits >= tonumber(ARGV[1]) then return refuse(slot, by_hand, 'skip', 'skipped') end
  waits[#waits + 1] = slot
  waits[slot] = true
  schedule_note(key, slot, 'waits')
  return 'wait'
end

for i = 7, #ARGV do decided[#decided + 1] = decide(ARGV[i]) end
if newest >= 0 then redis.call('HSET', key, 'last', string.format('%.0f', newest)) end
redis.call('HSET', key, 'wait', table.concat(waits, ' '))
redis.call('PEXPIREAT', key, NOW + ARGV[2])
return {noted, decided}
