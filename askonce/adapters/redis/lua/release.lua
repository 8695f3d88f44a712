-- release: end a producer's claim of a run, and keep how the run ended.
-- KEYS runs            ARGV name, holder, state, facts, kept for
-- returns 1 where the run was that producer's
local key = KEYS[1] .. ':' .. ARGV[1]
if redis.call('HGET', key, 'holder') ~= ARGV[2] then return 0 end
redis.call('HSET', key, 'ends', 0, 'state', ARGV[3], 'updated', NOW, 'facts', ARGV[4])
redis.call('ZADD', KEYS[1], NOW, ARGV[1])
for _, each in ipairs({key, KEYS[1]}) do redis.call('PEXPIREAT', each, NOW + ARGV[5]) end
return 1
