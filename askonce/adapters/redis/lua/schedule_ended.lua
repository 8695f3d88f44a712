-- schedule_ended: end the slot under way, and begin the next one that waits.
-- KEYS entry           ARGV slot, how (done, failed), facts, note of a pause (nothing: none), kept for
-- returns 1 where the slot was under way, and the slot that begins (nothing: none)
local key = KEYS[1]
if redis.call('HGET', key, 'open') ~= ARGV[1] then return {0, ''} end
schedule_note(key, ARGV[1], ARGV[2], ARGV[3])
redis.call('HDEL', key, 'open', 'since', 'facts', 'forced')
if ARGV[2] == 'done' then redis.call('HSET', key, 'done', NOW) end
if ARGV[4] ~= '' then redis.call('HSET', key, 'paused', ARGV[4]) end
local begun = schedule_next(key) or ''
redis.call('PEXPIREAT', key, NOW + ARGV[5])
return {1, begun}
