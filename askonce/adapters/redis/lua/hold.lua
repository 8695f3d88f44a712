-- hold: claim a run for its producer, or renew the claim, unless another one has it; keep how far the run is.
-- KEYS runs            ARGV name, holder, ttl, task, facts, kept for, most runs
-- returns taken (0, 1), who has it, ms that are left, why it was asked to stop
local key = KEYS[1] .. ':' .. ARGV[1]
local holder, ends, stop = unpack(redis.call('HMGET', key, 'holder', 'ends', 'stop'))
local left = tonumber(ends or 0) - NOW
if left > 0 and holder ~= ARGV[2] then return {0, holder, left, ''} end
if left <= 0 then
  redis.call('DEL', key)
  redis.call('HSET', key, 'started', NOW, 'holder', ARGV[2])
  stop = ''
end
redis.call('HSET', key, 'ends', NOW + ARGV[3], 'state', 'running', 'updated', NOW, 'task', ARGV[4], 'facts', ARGV[5])
redis.call('PEXPIREAT', key, NOW + ARGV[6])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', NOW - ARGV[6])
redis.call('ZADD', KEYS[1], NOW, ARGV[1])
for _, old in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1 - ARGV[7])) do
  redis.call('ZREM', KEYS[1], old)
  redis.call('DEL', KEYS[1] .. ':' .. old)
end
redis.call('PEXPIREAT', KEYS[1], NOW + ARGV[6])
return {1, ARGV[2], tonumber(ARGV[3]), stop or ''}
