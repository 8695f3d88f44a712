-- ask_to_stop: leave a wish for the producer that has a run.
-- KEYS runs            ARGV name, why
-- returns 1 where a living producer has it
local key = KEYS[1] .. ':' .. ARGV[1]
if tonumber(redis.call('HGET', key, 'ends') or 0) <= NOW then return 0 end
redis.call('HSET', key, 'stop', ARGV[2])
return 1
