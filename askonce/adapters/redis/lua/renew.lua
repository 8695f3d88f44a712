-- renew: prolong a lease; also one that has run out, while no other run has started.
-- KEYS record, index   ARGV owner, lease          returns ok | cancelled | fenced | absent
if tonumber(ARGV[2]) <= 0 then error('ASKONCE_LEASE') end
local known, r = pcall(load, KEYS[1])
if not known then return 'fenced' end -- a newer version has the record; other leases of the batch go on
if not r.present then return 'absent' end
if r.own ~= ARGV[1] or r.fl ~= 'running' then return 'fenced' end
set(r, {dl = NOW + ARGV[2]})
commit(r, KEYS[2])
return is_cancelled(r) and 'cancelled' or 'ok' -- a cancelled call goes on too
