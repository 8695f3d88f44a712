-- admit: the first caller may send a message; every other caller gets that job.
-- KEYS record, index   ARGV job, fingerprint, task, payload, queue deadline, max attempts,
--                           on_mismatch (replace, conflict), force (0; 1; 2: only over a failure or
--                           a rest, and not over a fresh answer), max age (-1: any),
--                           expires (0: never), countdown, what the caller brings (see `brought`),
--                           which of that it chose itself, such as "queue priority>", its run,
--                           whether to change nothing of a job in flight (0, 1), and for how long a stale
--                           answer is good enough while a job makes it anew
-- returns reply(admitted | resend | attached | hit | stale | negative | backoff | conflict)
--
--   producer A      producer B
--   admit: ADMITTED
--                   admit: ATTACHED to A's job
--   dies, no message
--   ... deadline passes, and the queue has delivered what was sent before ...
--                   admit: RESEND of A's job: it keeps its id, so the first message still counts, and
--                          a resend makes no second job
--
-- The texts of duplicate.lua and of this file are one script.
local r = lv and load(KEYS[1]) or absent(KEYS[1])
control(r, task, tail, run)
local completed_by = r.vf > 0 and r.vf == r.fen and r.own or ''

local function counted(outcome)
  count(name, outcome, 1)
  return reply(outcome, r, outcome == 'conflict')
end

-- Somebody still wants the answer: the first of them writes that down, for a schedule that makes answers anew.
local function served(outcome)
  local cost, asked_for = unpack(redis.call('HMGET', KEYS[1], 'uc', 'as'))
  if not asked_for then redis.pcall('HSET', KEYS[1], 'as', 1) end
  count(name, cost and 'avoided_micro_usd' or 'avoided_unknown', tonumber(cost or 1))
  return counted(outcome)
end

local differs = r.fp ~= '' and r.fp ~= fingerprint
if differs and ARGV[7] == 'conflict' then return counted('conflict') end
-- The answer of a run that began before a mark would be as good as none: who asks now gets a new job.
if differs or is_void(r) then
  doubt(r)
  clear_value(r)
  clear_failure(r)
  set(r, {fl = 'idle'})
  drop(r, 'nx', 'job')
end
if is_expired(r) then
  end_unrun(r, 'expired')
  commit(r, KEYS[2])
end
-- Its worker is lost, so no answer comes any more: who asks for it now gets a new job.
if r.fl == 'running' and is_cancelled(r) and is_lost(r) and r.att < asked(r).ma then
  doubt(r)
  note(r, 'worker_lost')
  end_unrun(r, 'cancelled')
  commit(r, KEYS[2])
end

local fresh = is_fresh(r) and not force and (max_age < 0 or NOW - r.vt <= max_age)
if r.fl == 'queued' and r.job == job then return reply('admitted', r), true end -- publish.lua sends nothing more
if r.fl == 'queued' and r.rt == job and NOW < r.ho then return reply('resend', r) end
if fresh then
  return served('hit')
end
-- The answer is made anew, or its key rests after a failure: this caller waits for neither.
local meanwhile = is_good_meanwhile(r, max_age, tonumber(ARGV[16]))
if meanwhile and r.fl ~= 'idle' and (r.paused or not is_lost(r)) then return served('stale') end

if r.fl ~= 'idle' then
  if is_lost(r) and not r.paused then
    if r.fl == 'running' then
      doubt(r)
      if r.att >= asked(r).ma then
        quarantine(r, 'attempts_spent')
        commit(r, KEYS[2])
        return counted('negative')
      end
      note(r, 'worker_lost')
      set(r, {fl = 'queued', at = '0', dl = NOW})
      drop(r, 'nx')
    end
    if r.rep >= MAX_RESENDS then
      quarantine(r, 'undeliverable')
      commit(r, KEYS[2])
      return counted('negative')
    end
    attach(r, job, expires, countdown, tail, chosen, run, KEYS[2], true)
    return counted('resend')
  end
  attach(r, job, expires, countdown, tail, chosen, run, KEYS[2], false)
  if r.rt == job and NOW < r.ho then return counted('resend') end
  return counted('attached')
end

if not force and not retry then
  if meanwhile and (failure_answers(r) or NOW < r.nx) then return served('stale') end
  if failure_answers(r) then return counted('negative') end
  if NOW < r.nx then return counted('backoff') end
end

local due = NOW + countdown
local over = due + ARGV[5]
if expires > 0 then over = math.min(over, NOW + expires) end
if r.present then -- a new record has nothing to forget
  -- This job may bring other tags, and the marks of the answer's own are not met any more.
  if r.vf > 0 and r.vf <= r.mark then
    clear_value(r)
    set(r, {iv = r.mark})
  elseif r.vf > 0 and r.vf <= r.aged then
    set(r, {sx = r.sx})
  end
  clear_failure(r)
  if completed_by ~= '' then note_booked(completed_by) end
  drop(r, 'own', 'att', 'rep', 'rt', 'nx', 'at', 'ho', 'pk', 'ref')
  remove(r, 'sh', 'run', 'sp')
end
set(r, {task = task, fp = fingerprint, fl = 'queued', job = job, dl = countdown > 0 and due or over, env = ARGV[4]})
write_ask(r, ARGV[6], ARGV[5], NOW, expires > 0 and NOW + expires or 0, tail)
if run ~= '' then set(r, {run = run}) end
if countdown > 0 then set(r, {nx = due, at = '0'}) end -- its message is sent when it is due
commit(r, KEYS[2])
return counted('admitted')
