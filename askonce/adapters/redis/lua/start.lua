-- start: lease the key to one owner, if its job is the one admitted.
-- KEYS record, index   ARGV job, owner, fingerprint, lease, admitted at (0: unknown), for how long at least a record
--                           lasts from the end of its job on, whether its message can go back to its queue (0, 1)
-- returns reply(granted | done | busy | backoff | paused | returned | superseded | negative | unrun | conflict | absent
--               | ended)
local job, owner, lease = ARGV[1], ARGV[2], tonumber(ARGV[4])
if lease <= 0 then error('ASKONCE_LEASE') end
local r = load(KEYS[1])

local function end_as(reason)
  if reason == 'attempts_spent' then quarantine(r, reason) else end_unrun(r, reason) end
  commit(r, KEYS[2])
  return reply('unrun', r)
end

-- One more message of a job that needs none.
local function copy(outcome, bare)
  count_run(r, 'copy', 1)
  return reply(outcome, r, bare)
end

-- A job that was put aside before its first start was so by a pause: `nx` is that rest's end, not its caller's wish.
local function count_waited(r, admitted_at)
  local wanted_at = r.pk == '' and math.max(r.nx, admitted_at) or admitted_at
  count_time(r, 'wait', NOW - wanted_at)
end

local function grant()
  doubt(r)
  if r.att >= asked(r).ma then return end_as('attempts_spent') end
  if r.fl == 'running' then note(r, 'worker_lost') end
  if is_cancelled(r) then return end_as('cancelled') end
  if r.paused then
    local returns = r.queue_paused and ARGV[7] == '1'
    if returns then leave_queued(r) else park_paused(r) end
    commit(r, KEYS[2])
    return reply(returns and 'returned' or 'paused', r)
  end
  -- The fence is the time of the last start: where that was before the admission, this is the job's first.
  local admitted_at = asked(r).ad
  if r.fen < admitted_at * 1000 then count_waited(r, admitted_at) else count_run(r, 'restarted', 1) end
  drop(r, 'rep', 'rt', 'nx', 'at', 'ho')
  if is_put_aside(r) then drop(r, 'pk') end
  -- A call that began before a mark still gives the answer of then.
  if r.fen <= math.max(r.mark, r.aged) then drop(r, 'ref') end
  set(r, {fl = 'running', own = owner, fen = next_fence(r), dl = NOW + lease, att = r.att + 1})
  commit(r, KEYS[2])
  return reply('granted', r)
end

if not r.present then
  -- A late copy of a message must not pay again, so it starts a lost job only while no job can have ended by itself.
  local admitted_at = tonumber(ARGV[5])
  return reply(admitted_at > 0 and NOW - admitted_at >= tonumber(ARGV[6]) and 'ended' or 'absent', r)
end
control(r, r.task, asked(r).tail)
if r.job ~= job then
  if r.fp ~= ARGV[3] then return copy('superseded', true) end
  return copy(is_fresh(r) and 'done' or 'superseded')
end
if r.fp ~= ARGV[3] then return reply('conflict', r, true) end

if r.fl == 'running' then
  if r.own == owner then return reply('granted', r) end
  if NOW < r.dl then return copy('busy') end
  return grant()
end
if r.fl == 'queued' then
  if is_expired(r) then return end_as('expired') end
  if NOW < r.nx then return reply(r.paused and 'paused' or 'backoff', r) end
  return grant()
end
-- A job that was quarantined because no message came is taken up again by a message that came after all.
if r.ek == 'quarantined' and r.er == 'undeliverable' and NOW < r.ex then
  clear_failure(r)
  return grant()
end
if failure_answers(r) then return copy('negative') end
return copy(has_value(r) and 'done' or 'superseded')
