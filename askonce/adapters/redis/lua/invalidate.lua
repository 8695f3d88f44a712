-- invalidate: forget answer, failure and flight. The fence stays, and so does a tombstone: a run
-- under way is fenced (memcache leases, Nishtala et al., NSDI 2013), and counted under its task. A damaged record is removed.
-- KEYS record, index   ARGV whether the answer stays, as a stale one (0, 1), channel that learns the key
-- returns ok | absent
--
-- Where the answer stays, a job in flight goes on; what a run gives that has begun already is stale too.
-- Who listens is told in any case, and finds what this script leaves.
redis.call('PUBLISH', ARGV[2], string.sub(KEYS[1], -64))
local known, r = pcall(load, KEYS[1])
if not known then
  if string.find(tostring(type(r) == 'table' and r.err or r), 'ASKONCE_LAYOUT_NEWER', 1, true) then error('ASKONCE_LAYOUT_NEWER') end
  redis.call('DEL', KEYS[1])
  redis.call('ZREM', KEYS[2], string.sub(KEYS[1], -64))
  return 'ok'
end
if not r.present then return 'absent' end
if ARGV[1] == '1' then
  r.keep = NOW + TOMBSTONE_KEPT
  if r.hx > 0 then set(r, {sx = math.min(r.sx, NOW)}) end
  if r.fl == 'running' then set(r, {xm = NOW_US}) end
  if r.fl == 'idle' then clear_failure(r) end
else
  doubt(r)
  if r.vf > 0 and r.vf == r.fen and r.own ~= '' then note_booked(r.own) end
  forget(r)
end
commit(r, KEYS[2])
return 'ok'
