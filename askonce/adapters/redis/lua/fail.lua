-- fail: record why there is no answer. The answer of an earlier run stays, and so does the provider's reference
-- while the job goes on: only the body knows whether the call that it names is over.
-- KEYS record, index   ARGV owner, kind, reason, after, keep, quarantine (0, 1), fallback, meta, book,
--                           attempts in all from now on (0: no change), what all attempts cost (`sp`)
-- returns reply(ok | fenced | absent)
local owner, kind, reason, after, keep = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local r = load(KEYS[1])
if not r.present then
  book_late(owner, ARGV[9], false)
  return reply('absent', r)
end
control(r, r.task, asked(r).tail)
if r.own ~= owner or r.fl ~= 'running' then
  if r.eo == owner and r.ej == r.job then return reply('ok', r) end
  book_late(owner, ARGV[9], true)
  count_run(r, 'fenced', 1)
  return reply('fenced', r, true)
end

book(ARGV[9])
if ARGV[11] ~= '' then set(r, {sp = ARGV[11]}) end
local most = tonumber(ARGV[10])
if most > 0 then
  local a = asked(r)
  write_ask(r, most, a.qd, a.ad, a.xe, a.tail)
end
local spent = r.att >= asked(r).ma
if kind == 'transient' and spent and ARGV[6] == '1' then
  quarantine(r, reason)
elseif kind == 'transient' and not spent and is_cancelled(r) then
  end_unrun(r, 'cancelled')
elseif kind == 'transient' and not spent then
  fail(r, kind, reason, after + keep)
  set(r, {fl = 'queued', nx = NOW + after, dl = NOW + after, at = '0'})
  drop(r, 'rep', 'rt', 'ho', 'pk')
else
  count(name_of(r), (kind == 'fallback' or kind == 'cancelled') and kind or 'failed', 1)
  fail(r, kind, reason, keep)
  end_flight(r)
  drop(r, 'ref')
  remove_payload(r)
  set(r, {nx = NOW + after})
  if kind == 'fallback' then set(r, {ed = ARGV[7], em = ARGV[8]}) end
end
note_failed(r)
set(r, {eo = owner}) -- only its own report may be repeated
drop(r, 'own')
commit(r, KEYS[2])
-- A full server counts what comes after a write.
count_ended(r)
wake(r)
return reply('ok', r)
