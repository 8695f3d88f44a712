-- show: one quarantined record, for a person; one that is none any more leaves the list.
-- KEYS record, dead    ARGV with the payload (0, 1)
-- returns task, edition, job, reason, attempts, history, quarantined at, kept until, payload; or nothing
local r = load(KEYS[1])
if r.fl ~= 'idle' or r.ek ~= 'quarantined' or NOW >= r.ex then
  redis.call('ZREM', KEYS[2], string.sub(KEYS[1], -64))
  return {}
end
local kept = redis.call('HMGET', KEYS[1], 'ver', 'hist', ARGV[1] == '1' and 'env' or 'no such field')
return {r.task, kept[1] or '', r.ej, r.er, r.att, kept[2] or '', r.ex - QUARANTINE_KEPT, r.ex, kept[3] or ''}
