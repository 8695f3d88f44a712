-- admit: the first caller may send a message; every other caller gets that job.
-- KEYS record, index   ARGV job, fingerprint, task, payload, queue deadline, max attempts,
--                           on_mismatch (replace, conflict), force (0, 1), max age (-1: any),
--                           version and tenant
-- returns reply(admitted | resend | attached | hit | negative | backoff | conflict)
--
--   producer A      producer B
--   admit: ADMITTED
--                   admit: ATTACHED to A's job
--   dies, no message
--   ... deadline passes ...
--                   admit: RESEND of A's job: it keeps its id, so the first message still counts, and
--                          a resend makes no second job
local job, fingerprint, force, max_age = ARGV[1], ARGV[2], ARGV[8] == '1', tonumber(ARGV[9])

-- The most frequent duplicate: an equal job is in flight, with neither answer nor failure kept. Its reply needs
-- half of the record's fields, and two thirds of the time.
local lv, fp, fl, in_flight, dl, att, fen, rep, rt, nx, ref, hx, ex = unpack(redis.call('HMGET', KEYS[1],
  'lv', 'fp', 'fl', 'job', 'dl', 'att', 'fen', 'rep', 'rt', 'nx', 'ref', 'hx', 'ex'))
if fp == fingerprint and fl ~= 'idle' and in_flight ~= job and rt ~= job and not hx and not ex
    and tonumber(lv) <= LAYOUT and NOW < tonumber(dl) then
  return {flight_part('attached', {fl = fl, job = in_flight, fen = tonumber(fen or 0), dl = dl,
    att = tonumber(att or 0), rep = tonumber(rep or 0), nx = nx or 0, ref = ref or ''}), EMPTY, EMPTY}
end
local r = load(KEYS[1])

if r.fp ~= '' and r.fp ~= fingerprint then
  if ARGV[7] == 'conflict' then return reply('conflict', r, true) end
  clear_value(r)
  clear_failure(r)
  set(r, {fl = 'idle', nx = 0, job = ''})
end

local fresh = is_fresh(r) and not force and (max_age < 0 or NOW - r.vt <= max_age)
if r.fl == 'queued' and r.job == job then return reply('admitted', r) end
if r.fl == 'queued' and r.rt == job then return reply('resend', r) end
if fresh then return reply('hit', r) end

if r.fl ~= 'idle' then
  if NOW < r.dl then return reply('attached', r) end
  if r.fl == 'running' and r.att >= r.ma then
    quarantine(r, 'attempts_spent')
    commit(r, KEYS[2])
    return reply('negative', r)
  end
  if r.fl == 'running' then note(r, 'worker_lost') end
  set(r, {fl = 'queued', rep = r.rep + 1, rt = job, nx = 0, dl = NOW + r.qd * 2 ^ math.min(r.rep + 1, MAX_DOUBLINGS)})
  commit(r, KEYS[2])
  return reply('resend', r)
end

if not force then
  if failure_answers(r) then return reply('negative', r) end
  if NOW < r.nx then return reply('backoff', r) end
end
if r.job == job then return reply('attached', r) end

clear_failure(r)
set(r, {task = ARGV[3], fp = fingerprint, fl = 'queued', job = job, own = '', att = 0, rep = 0, rt = '', nx = 0,
  dl = NOW + ARGV[5], env = ARGV[4], qd = tonumber(ARGV[5]), ma = tonumber(ARGV[6]), ref = '', ver = ARGV[10]})
commit(r, KEYS[2])
return reply('admitted', r)
