-- going_stale: answers of this bucket that go stale soon, were asked for since they were made, and are not under way.
-- KEYS index           ARGV the moment at which the last look ended (0: this is the first), until when (ms from now on),
--                           task
-- returns the moment at which this look ended (0: there are no more), then due_part of each
local from, till = math.max(NOW, tonumber(ARGV[1])), NOW + ARGV[2]
local members = redis.call('ZRANGEBYSCORE', SLOT .. 'due', from, till, 'WITHSCORES', 'LIMIT', 0, LOOKS)
local found, last = {0}, from

local function look_at(member)
  local r = load(SLOT .. 'rec:' .. member)
  if not r.present or r.task ~= ARGV[3] or r.fl ~= 'idle' then return end
  control(r, r.task, asked(r).tail)
  local got = redis.call('HMGET', r.key, 'as', 'env')
  if r.sx == last and has_value(r) and got[1] and NOW >= r.nx and not failure_answers(r) then
    found[#found + 1] = due_part(nil, r, {got[2]})
  end
end

for i = 1, #members, 2 do
  last = tonumber(members[i + 1])
  -- A damaged record costs no other its look.
  pcall(look_at, members[i])
end
-- Of more answers of one moment than a look takes, some wait for the next slot.
if #members == 2 * LOOKS then found[1] = math.max(last, from + 1) end
return found
