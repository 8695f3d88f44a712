-- publish: admit, and put the message into its queue in the same step, where one server has both: a producer
-- that dies leaves no claim without a message. Runs around the whole of admit.lua.
-- KEYS record, index, queue   ARGV as admit, then the message      returns as admit
--
-- A claim that is made a second time under its own job has its message already. A job that is sent again
-- keeps its own id, which this message does not have: that is left to the caller.
local before = redis.call('HGET', KEYS[1], 'job')
local told = admit()
if told[1] == 'admitted' and before ~= ARGV[1] then redis.call('LPUSH', KEYS[3], ARGV[#ARGV]) end
return told
