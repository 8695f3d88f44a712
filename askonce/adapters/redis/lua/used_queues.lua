-- used_queues: the queues in use; changes nothing.
-- KEYS queues          ARGV most queues, milliseconds that one is kept
-- returns a flat list: queue, for how many milliseconds it was not used, ...
local kept = redis.call('ZRANGE', KEYS[1], '+inf', '(' .. NOW - ARGV[2], 'BYSCORE', 'REV', 'LIMIT', 0, ARGV[1],
  'WITHSCORES')
for i = 2, #kept, 2 do kept[i] = NOW - tonumber(kept[i]) end
return kept
