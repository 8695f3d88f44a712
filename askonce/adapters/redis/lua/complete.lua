-- complete: publish the answer and end the flight.
-- KEYS record, index   ARGV owner, answer, meta, soft, hard, micro-dollars (-1: unknown), book, whether the payload
--                           is kept beside the answer (0, 1), how long ago the call began (0: since the lease did)
-- returns ok | fenced | absent
--
--   owner A               owner B
--   start: lease
--   stalls, lease ends
--                         start: new lease, higher fence
--   complete: FENCED      complete: OK
--
-- An owner whose lease ran out still publishes while no other run has started: its answer is paid for. So does
-- one whose job was quarantined, cancelled or expired while its process stood still. An answer whose run began before a
-- mark is refused, or stale at once. So is one whose call began without a lease, before its key was invalidated.
local r = load(KEYS[1])
local owner, entry = ARGV[1], ARGV[7]
if not r.present then
  book_late(owner, entry, false)
  return 'absent'
end
if r.own ~= owner then
  book_late(owner, entry, true)
  count_run(r, 'fenced', 1)
  return 'fenced'
end
if r.fl == 'idle' and r.vf == r.fen then return 'ok' end
book(entry)
local ran = r.fl == 'running'
r.began = ARGV[9] == '0' and r.fen or math.min(r.fen, NOW_US - ARGV[9] * 1000)
read_marks(r)
if ARGV[9] ~= '0' then r.mark = math.max(r.mark, tonumber(redis.call('HGET', r.key, 'iv') or 0)) end
if r.began <= r.mark then
  if entry ~= '' then note_booked(owner) end
  if ran then
    count_ended(r)
    forget(r) -- those who wait for it make a new job
  else
    count(name_of(r), 'in_doubt', -1)
    drop(r, 'own')
  end
  commit(r, KEYS[2])
  count_run(r, 'fenced', 1)
  return 'fenced'
end
clear_failure(r)
drop(r, 'nx', 'at', 'ho', 'pk', 'rep', 'rt', 'ref')
remove(r, 'uc', 'sp', 'as', 'iv')
if ARGV[8] == '1' then set(r, {kp = 1}) else remove(r, 'env', 'kp') end
set(r, {val = ARGV[2], vm = ARGV[3], vf = r.fen, vt = NOW, sx = r.began <= r.aged and NOW or NOW + ARGV[4],
  hx = NOW + ARGV[5], fl = 'idle'})
if r.xm > 0 then drop(r, 'xm') end
-- An answer that is kept for less than a wake-up takes still reaches those who waited for it.
r.keep = NOW + WAITERS_KEPT
if ARGV[6] ~= '-1' then set(r, {uc = ARGV[6]}) end
commit(r, KEYS[2])
note_answer(r)
-- A repetition of this write may find the record gone.
if entry ~= '' and r.xp < NOW + TOMBSTONE_KEPT then note_booked(owner) end
-- A full server counts what comes after a write.
if ran then count_ended(r) else count(name_of(r), 'in_doubt', -1) end
count(name_of(r), 'done', 1)
wake(r)
return 'ok'
