-- going_stale: answers of this bucket that go stale soon, were asked for since they were made, and are not under way.
-- KEYS index           ARGV the moment at which the last look ended (0: this is the first), until when (ms from now on),
--                           task
-- returns the moment at which this look ended (0: there are no more), then due_part of each
local from, till = math.max(NOW, tonumber(ARGV[1])), NOW + ARGV[2]
local members = redis.call('ZRANGEBYSCORE', SLOT .. 'due', from, till, 'WITHSCORES', 'LIMIT', 0, LOOKS)
local found, last = {0}, from
for i = 1, #members, 2 do
  last = tonumber(members[i + 1])
  local known, r = pcall(load, SLOT .. 'rec:' .. members[i])
  if known and r.present and r.task == ARGV[3] and r.fl == 'idle' then
    control(r, r.task, asked(r).tail)
    local got = redis.call('HMGET', r.key, 'as', 'env')
    if r.sx == last and has_value(r) and got[1] and NOW >= r.nx and not failure_answers(r) then
      found[#found + 1] = due_part(nil, r, {got[2]})
    end
  end
end
-- Of more answers of one moment than a look takes, some wait for the next slot.
if #members == 2 * LOOKS then found[1] = math.max(last, from + 1) end
return found
