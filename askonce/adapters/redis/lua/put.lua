-- put: keep an answer that no run gives, in place of what the record had; the last one wins.
-- KEYS record, index   ARGV job, fingerprint, task, what the caller brings (see `brought`), answer, meta, soft, hard
-- returns whether it is kept (0, 1): a pause keeps the one before
local task, tail = ARGV[3], ARGV[4]
local r = load(KEYS[1])
if control(r, task, tail, '') then return 0 end
doubt(r)
if r.fl == 'running' then r.keep = NOW + TOMBSTONE_KEPT end -- its owner's late write is fenced
if r.vf > 0 and r.vf == r.fen and r.own ~= '' then note_booked(r.own) end
clear_failure(r)
drop(r, 'own', 'att', 'rep', 'rt', 'nx', 'dl', 'at', 'ho', 'pk', 'ref', 'xm')
if r.present then remove(r, 'env', 'kp', 'sh', 'run', 'sp', 'uc', 'as', 'iv') end
write_ask(r, 1, 0, NOW, 0, tail)
local fence = next_fence(r)
set(r, {task = task, fp = ARGV[2], job = ARGV[1], fl = 'idle', fen = fence, val = ARGV[5], vm = ARGV[6], vf = fence,
  vt = NOW, sx = NOW + ARGV[7], hx = NOW + ARGV[8]})
commit(r, KEYS[2])
note_answer(r)
wake(r)
return 1
