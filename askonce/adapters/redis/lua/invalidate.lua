-- invalidate: forget answer, failure and flight. The fence stays, and so does a tombstone: a run
-- under way is fenced (memcache leases, Nishtala et al., NSDI 2013).
-- KEYS record, index                              returns ok | absent
local r = load(KEYS[1])
if not r.present then return 'absent' end
clear_value(r)
clear_failure(r)
clear(r, {}, {'env', 'ref', 'own', 'fp'})
wake(r)
set(r, {fl = 'idle', job = '', att = 0, rep = 0, rt = '', nx = 0, dl = 0})
r.keep = NOW + TOMBSTONE_KEPT
commit(r, KEYS[2])
return 'ok'
