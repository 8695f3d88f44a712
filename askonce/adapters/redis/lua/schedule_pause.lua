-- schedule_pause: fire no slot of an entry any more, or end that and begin what waits.
-- KEYS entry           ARGV note (nothing: the pause ends), kept for
-- returns 1 where that changed something
local key, changed = KEYS[1], 1
if ARGV[1] ~= '' then
  redis.call('HSET', key, 'paused', ARGV[1])
  redis.call('HDEL', key, 'forced') -- who pauses it again means that slot too
else
  changed = redis.call('HDEL', key, 'paused')
  if changed == 1 then redis.call('HINCRBY', key, 'resumed', 1) end
  schedule_next(key)
end
redis.call('PEXPIREAT', key, NOW + ARGV[2])
return changed
