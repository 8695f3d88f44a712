-- resent: a message that was handed out is on its way; it counts now.
-- KEYS record, index   ARGV job, its message's time
-- returns ok | fenced | absent
local r = load(KEYS[1])
if not r.present then return 'absent' end
if r.job ~= ARGV[1] or r.fl ~= 'queued' then return 'fenced' end
if sent_at(r) == tonumber(ARGV[2]) then return 'ok' end
-- Its message was faster: it was delivered, and the job is queued again since. That message is not out any more.
if r.ho == 0 then return 'fenced' end
local resends = r.rep + 1
drop(r, 'ho', 'rt')
set(r, {at = ARGV[2], rep = resends, dl = deadline(r, resends)})
count_run(r, 'resent', 1)
commit(r, KEYS[2])
return 'ok'
