-- control: set or end a pause or a mark in this bucket.
-- KEYS index           ARGV field, note of a pause | now (a mark) | nothing (it ends)
-- returns 1 where that changed something
if ARGV[2] == '' then
  local ended = redis.call('HDEL', SLOT .. 'ctl', ARGV[1])
  -- The jobs that it put aside are looked at now.
  for _, member in ipairs(redis.call('ZRANGE', KEYS[1], NOW + PAUSE_REST, '+inf', 'BYSCORE')) do
    redis.call('ZADD', KEYS[1], NOW, member)
  end
  return ended
end
local is_mark = string.sub(ARGV[1], 1, 5) == 'mark\n'
redis.call('HSET', SLOT .. 'ctl', ARGV[1], is_mark and string.format('%.0f', NOW_US) or ARGV[2])
return 1
