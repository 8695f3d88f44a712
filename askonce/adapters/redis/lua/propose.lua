-- propose: replace the state of a board, unless another member did.
-- KEYS board           ARGV version that the member saw, state, ttl of the board
-- returns 1 where it was replaced
if (redis.call('HGET', KEYS[1], 'version') or '0') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'version', string.format('%.0f', ARGV[1] + 1), 'state', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
