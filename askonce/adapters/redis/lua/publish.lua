-- publish: admit, and put the message into its queue in the same step, where one server has both: a producer
-- that dies leaves no claim without a message. Runs around the whole of admit.lua.
-- KEYS record, index, queue   ARGV as admit, then key, delivery tag, the task's message with places to fill
--                             (see message.lua), and what monitors show of the job
-- returns as admit
--
-- The message is made here, so that a duplicate pays for none:
-- * a new job: its message is pushed;
-- * the same claim again: its message was pushed already;
-- * resend: the job keeps its own id, which this message does not have, so the caller sends that message.
local admitted, repeated = admit()
if admitted[1][1] == 'admitted' and not repeated then
  local parts, places = cut(ARGV[19])
  redis.call('LPUSH', KEYS[3], filled(parts, places, shared_values(), ARGV[17], ARGV[18], ARGV[20]))
end
return admitted
