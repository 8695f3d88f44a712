-- succeeded: note when an entry of the schedule succeeded last; beyond the limit the oldest time is forgotten.
-- KEYS times           ARGV entry, most entries
-- returns nothing
redis.call('HSET', KEYS[1], ARGV[1], NOW)
if redis.call('HLEN', KEYS[1]) > tonumber(ARGV[2]) then
  local kept, oldest = redis.call('HGETALL', KEYS[1]), 1
  for i = 3, #kept, 2 do
    if tonumber(kept[i + 1]) < tonumber(kept[oldest + 1]) then oldest = i end
  end
  redis.call('HDEL', KEYS[1], kept[oldest])
end
