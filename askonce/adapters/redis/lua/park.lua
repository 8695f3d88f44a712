-- park: give a lease back before anything was paid; uses no attempt.
-- KEYS record, index   ARGV owner, reason, after, within, what all attempts cost (`sp`; '': as before)
-- returns parked | spent | cancelled | fenced | absent
--
-- A job may be parked again and again. Once it has waited for *within* since the first time it is spent, and nothing
-- changes.
local r = load(KEYS[1])
local after, within = tonumber(ARGV[3]), tonumber(ARGV[4])
if not r.present then return 'absent' end
if r.own == ARGV[1] and r.fl == 'idle' and is_cancelled(r) then return 'cancelled' end
if r.own ~= ARGV[1] or r.fl == 'idle' then
  count_run(r, 'fenced', 1)
  return 'fenced'
end
if r.fl == 'queued' then return 'parked' end
local cancelled = is_cancelled(r)
if cancelled then
  end_unrun(r, 'cancelled')
else
  if NOW - parked_since(r) >= within then return 'spent' end
  park(r, ARGV[2], after)
end
count_run(r, 'parked', 1)
set(r, {att = r.att - 1})
if ARGV[5] ~= '' then set(r, {sp = ARGV[5]}) end
commit(r, KEYS[2])
return cancelled and 'cancelled' or 'parked'
