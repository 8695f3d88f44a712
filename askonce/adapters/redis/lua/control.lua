-- control: set or end a pause in this bucket.
-- KEYS index           ARGV field, note | nothing (it ends)
-- returns whether that changed something (0, 1), and whether to call again: jobs are left that the pause put aside
if ARGV[2] ~= '' then
  redis.call('HSET', SLOT .. 'ctl', ARGV[1], ARGV[2])
  return {1, 0}
end
local ended = redis.call('HDEL', SLOT .. 'ctl', ARGV[1])
-- The jobs that it put aside are looked at now, some in each call.
local aside, moved = redis.call('ZRANGE', KEYS[1], NOW + PAUSE_REST, '+inf', 'BYSCORE', 'LIMIT', 0, RESUMED_LOOKS), {}
for _, member in ipairs(aside) do
  moved[#moved + 1] = NOW
  moved[#moved + 1] = member
end
if #aside > 0 then redis.call('ZADD', KEYS[1], unpack(moved)) end
return {ended, #aside == RESUMED_LOOKS and 1 or 0}
