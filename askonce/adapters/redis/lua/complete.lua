-- complete: publish the answer and end the flight.
-- KEYS record, index   ARGV owner, answer, meta, soft, hard      returns ok | fenced | absent
--
--   owner A               owner B
--   start: lease
--   stalls, lease ends
--                         start: new lease, higher fence
--   complete: FENCED      complete: OK
--
-- An owner whose lease ran out still publishes while no other run has started: its answer is paid for. So does
-- the last attempt's owner, if the job was quarantined while its process stood still.
local r = load(KEYS[1])
if not r.present then return 'absent' end
if r.own ~= ARGV[1] then return 'fenced' end
local given_up = r.ek == 'quarantined' and NOW < r.ex
if r.fl == 'idle' and not given_up then return r.vf == r.fen and r.vf > 0 and 'ok' or 'fenced' end
clear_failure(r)
clear(r, {}, {'env', 'ref'})
set(r, {val = ARGV[2], vm = ARGV[3], vf = r.fen, vt = NOW, sx = NOW + ARGV[4], hx = NOW + ARGV[5], fl = 'idle',
  nx = 0})
commit(r, KEYS[2])
wake(r)
return 'ok'
