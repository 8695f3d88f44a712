-- dead: the quarantined records of one bucket, by the time until which they are kept.
-- KEYS dead            ARGV (none)
-- returns a flat list: key, kept until, ...       in milliseconds
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', NOW)
return redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
