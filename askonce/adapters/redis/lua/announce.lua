-- announce: keep one worker's announcement, in place of its last one, until its time is over.
-- KEYS workers         ARGV worker, ttl, announcement, most workers, ttl of the list
-- returns nothing
local key, ends = KEYS[1] .. ':' .. ARGV[1], NOW + ARGV[2]
local since, ended = unpack(redis.call('HMGET', key, 'since', 'ends'))
if not ended or tonumber(ended) <= NOW then since = NOW end
redis.call('HSET', key, 'said', ARGV[3], 'at', NOW, 'since', since, 'ends', ends)
redis.call('PEXPIREAT', key, ends)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', NOW)
redis.call('ZADD', KEYS[1], ends, ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[4])
redis.call('PEXPIREAT', KEYS[1], NOW + ARGV[5])
