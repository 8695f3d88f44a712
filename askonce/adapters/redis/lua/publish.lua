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
local admitted, repeated = admit()
if admitted[1][1] == 'admitted' and not repeated then
  local function quoted(text) return cjson.encode(text):sub(2, -2) end
  local tenant, _, version = brought(ARGV[12])
  local key = ARGV[16]
  local message = ARGV[18]:gsub('\1(%d)', {['0'] = quoted(ARGV[14]), ['1'] = quoted(ARGV[4]), ['2'] = key,
    ['3'] = key:sub(1, 16), ['4'] = ARGV[2], ['5'] = quoted(ARGV[1]), ['6'] = ARGV[17], ['7'] = quoted(version),
    ['8'] = quoted(tenant), ['9'] = string.format('%d', NOW)})
  redis.call('LPUSH', KEYS[3], message)
end
return admitted
