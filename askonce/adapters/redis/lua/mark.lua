-- mark: make the answers of this bucket old whose run began before now.
-- KEYS index           ARGV field, mode (remove, expire), for how long such an answer may be kept, channel that learns of
--                           it ('': another bucket's mark tells it), what it learns
-- returns whether there was room for it (0, 1)
--
-- Two fields of the hash are no marks.
local marks, over = SLOT .. 'marks', NOW + ARGV[3]
local removed, aged, until_ms = string.match(redis.call('HGET', marks, ARGV[1]) or '', '^(%d+) (%d+) (%d+)$')
if not removed and redis.call('HLEN', marks) >= MAX_MARKS + 2 then
  local known = redis.call('HGETALL', marks)
  for i = 1, #known, 2 do
    local ends = string.match(known[i + 1], ' (%d+)$')
    if ends and tonumber(ends) <= NOW then redis.call('HDEL', marks, known[i]) end
  end
  if redis.call('HLEN', marks) >= MAX_MARKS + 2 then return 0 end
end
local now_us = string.format('%.0f', NOW_US)
if ARGV[2] == 'expire' then aged = now_us else removed = now_us end
redis.call('HSET', marks, ARGV[1],
  string.format('%s %s %.0f', removed or '0', aged or '0', math.max(over, tonumber(until_ms or 0))))
-- The whole hash lasts as long as the mark that is needed for the longest.
local longest = math.max(over, tonumber(redis.call('HGET', marks, 'until') or 0))
redis.call('HSET', marks, 'until', longest, 'latest', math.max(NOW_US, latest_mark()))
redis.call('PEXPIREAT', marks, longest)
if ARGV[4] ~= '' then redis.call('PUBLISH', ARGV[4], ARGV[5]) end
return 1
