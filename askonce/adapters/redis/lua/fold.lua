-- fold: add the counters of one bucket's past days to those of all buckets, once.
-- KEYS all counters    ARGV bucket, kept for, then names and amounts in turn
-- returns 1 where it was the first
if redis.call('HSETNX', KEYS[1], 'bucket\n' .. ARGV[1], 1) == 0 then return 0 end
for i = 3, #ARGV, 2 do redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
