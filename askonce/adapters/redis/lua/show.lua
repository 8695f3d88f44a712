-- show: one quarantined record, for an operator; one that is none any more leaves the list.
-- KEYS record, dead    ARGV with the payload (0, 1)
-- returns dead_part, or nothing
local r = load(KEYS[1])
if r.fl ~= 'idle' or r.ek ~= 'quarantined' or NOW >= r.ex then
  redis.call('ZREM', KEYS[2], string.sub(KEYS[1], -64))
  return {}
end
local got = redis.call('HMGET', KEYS[1], 'run', 'hist', 'sp', ARGV[1] == '1' and 'env' or 'no such field')
return dead_part(nil, r, got)
