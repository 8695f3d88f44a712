-- mark: make the answers of this bucket old whose run began before now.
-- KEYS index           ARGV field, mode (remove, expire), for how long at least the mark is kept, channel that learns of it
--                           ('': another bucket's mark tells it), what it learns
-- returns whether there was room for it (0, 1)
--
-- Two fields of the hash are no marks.
local marks = SLOT .. 'marks'
local over = math.max(NOW + MARK_KEPT, NOW + ARGV[3], tonumber(redis.call('HGET', SLOT .. 'answers', 'until') or 0))
local removed, aged, ends = string.match(redis.call('HGET', marks, ARGV[1]) or '', '^(%d+) (%d+) (%d+)$')
over = math.max(over, tonumber(ends or 0)) -- who set it before may have known of answers that are kept for longer
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
redis.call('HSET', marks, ARGV[1], string.format('%s %s %.0f', removed or '0', aged or '0', over))
-- The whole hash lasts as long as the mark that is needed for the longest.
local longest = math.max(over, tonumber(redis.call('HGET', marks, 'until') or 0))
redis.call('HSET', marks, 'until', longest, 'latest', math.max(NOW_US, latest_mark()))
redis.call('PEXPIREAT', marks, longest)
if ARGV[4] ~= '' then redis.call('PUBLISH', ARGV[4], ARGV[5]) end
return 1
