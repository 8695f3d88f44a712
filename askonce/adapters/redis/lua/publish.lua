-- publish: admit, and put the message into its queue in the same step, where one server has both: a producer
-- that dies leaves no claim without a message. Runs around the whole of admit.lua.
-- KEYS record, index, queue   ARGV as admit, then key, delivery tag, and the task's message with places to
--                             fill: a control character, which JSON has nowhere, and a digit
-- returns as admit
--
-- The message is made here, so that a duplicate pays for none:
-- * a new job: its message is pushed;
-- * the same claim again: its message was pushed already;
-- * resend: the job keeps its own id, which this message does not have, so the caller sends that message.
local before = redis.call('HMGET', KEYS[1], 'job', 'fp')
local admitted = admit()
if admitted[1][1] == 'admitted' and (before[1] ~= ARGV[1] or before[2] ~= ARGV[2]) then
  local function quoted(text) return cjson.encode(text):sub(2, -2) end
  local key = ARGV[11]
  local message = ARGV[13]:gsub('\1(%d)', {['1'] = quoted(ARGV[4]), ['2'] = key, ['3'] = key:sub(1, 16),
    ['4'] = ARGV[2], ['5'] = quoted(ARGV[1]), ['6'] = ARGV[12], ['7'] = quoted(ARGV[10])})
  redis.call('LPUSH', KEYS[3], message)
end
return admitted
