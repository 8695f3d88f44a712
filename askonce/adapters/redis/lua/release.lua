-- release: give the lease back before the call began; uses no attempt.
-- KEYS record, index   ARGV owner                 returns ok | fenced | absent
local r = load(KEYS[1])
if not r.present then return 'absent' end
if r.own ~= ARGV[1] or r.fl == 'idle' then return 'fenced' end
if r.fl == 'running' then
  set(r, {fl = 'queued', att = r.att - 1, dl = NOW})
  commit(r, KEYS[2])
end
return 'ok'
