-- cancel: end a queued job unpaid. A call under way ends by itself, and its answer is kept; no other call follows.
-- KEYS record, index   ARGV run ('' with any: whatever runs share the job), any (0, 1)
-- returns cancelled | running | shared | idle | absent
local r = load(KEYS[1])
if not r.present then return 'absent' end
if r.fl == 'idle' then return is_cancelled(r) and 'cancelled' or 'idle' end
local of = redis.call('HMGET', KEYS[1], 'run', 'sh')
if ARGV[2] == '0' and ((of[1] or '') ~= ARGV[1] or of[2]) then return 'shared' end
local running = r.fl == 'running'
if running then cancel_running(r) else end_unrun(r, 'cancelled') end
commit(r, KEYS[2])
return running and 'running' or 'cancelled'
