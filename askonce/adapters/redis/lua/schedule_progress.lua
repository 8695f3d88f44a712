-- schedule_progress: keep how far the slot under way is.
-- KEYS entry           ARGV slot, facts
-- returns 1 where the slot is under way
if redis.call('HGET', KEYS[1], 'open') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'facts', ARGV[2])
return 1
