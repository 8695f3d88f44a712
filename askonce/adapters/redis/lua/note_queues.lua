-- note_queues: queues are in use now; those that were used longest ago make room.
-- KEYS queues          ARGV most queues, milliseconds that one is kept, then names
-- returns nothing
for i = 3, #ARGV do redis.call('ZADD', KEYS[1], NOW, ARGV[i]) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', NOW - ARGV[2])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[1])
redis.call('PEXPIREAT', KEYS[1], NOW + ARGV[2])
