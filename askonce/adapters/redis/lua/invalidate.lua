-- invalidate: forget answer, failure and flight. The fence stays, and so does a tombstone: a run
-- under way is fenced (memcache leases, Nishtala et al., NSDI 2013), and counted under its task. A damaged record is removed.
-- KEYS record, index                              returns ok | absent
local known, r = pcall(load, KEYS[1])
if not known then
  if string.find(tostring(type(r) == 'table' and r.err or r), 'ASKONCE_LAYOUT_NEWER', 1, true) then error('ASKONCE_LAYOUT_NEWER') end
  redis.call('DEL', KEYS[1])
  redis.call('ZREM', KEYS[2], string.sub(KEYS[1], -64))
  return 'ok'
end
if not r.present then return 'absent' end
doubt(r)
if r.vf > 0 and r.vf == r.fen and r.own ~= '' then note_booked(r.own) end
clear_value(r)
clear_failure(r)
wake(r)
set(r, {fl = 'idle'})
drop(r, 'own', 'fp', 'job', 'att', 'rep', 'rt', 'nx', 'dl', 'at', 'ho', 'pk', 'ref', 'ask')
remove(r, 'env', 'sh', 'run', 'sp')
r.keep = NOW + TOMBSTONE_KEPT
commit(r, KEYS[2])
return 'ok'
