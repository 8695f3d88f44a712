-- How a flight ends without an answer. Each end is counted under its word.
-- The last reasons for which a run of this job gave no answer, oldest first.
local function note(r, reason)
  local past = r.hist or redis.call('HMGET', r.key, 'hist')[1] or ''
  local _, known = string.gsub(past, '%S+', '')
  if known >= HISTORY_KEPT then past = string.match(past, '^%S+ (.*)$') end
  set(r, {hist = (past == '' and '' or past .. ' ') .. string.gsub(string.sub(reason, 1, REASON_KEPT), '%s', '_')})
end

local function fail(r, kind, reason, keep)
  note(r, reason)
  set(r, {ek = kind, er = reason, ej = r.job, ex = NOW + keep})
end

-- End a flight without an answer. The record outlives its messages, so that none of them starts the job anew.
local function end_flight(r)
  set(r, {fl = 'idle'})
  drop(r, 'rep', 'rt', 'at', 'ho', 'pk')
  r.keep = NOW + TOMBSTONE_KEPT
end

-- Remove the payload of a job that ended, unless the last good answer is kept with one: a failed refresh leaves both.
local function remove_payload(r)
  if not (has_value(r) and redis.call('HGET', r.key, 'kp')) then remove(r, 'env') end
end

-- The payload stays with a quarantined job, so that a person can replay it.
local function quarantine(r, reason)
  count(name_of(r), 'quarantined', 1)
  fail(r, 'quarantined', reason, QUARANTINE_KEPT)
  end_flight(r)
  drop(r, 'nx')
  r.quarantined = true
  wake(r)
end

-- End a job that no worker shall run any more.
local function end_unrun(r, reason)
  count(name_of(r), reason, 1)
  fail(r, reason, reason, REASON_KEPT_FOR)
  end_flight(r)
  drop(r, 'nx', 'ref')
  remove_payload(r)
  wake(r)
end

-- Forget all but the fence and the task, under which a fenced write is counted.
local function forget(r)
  clear_value(r)
  clear_failure(r)
  wake(r)
  set(r, {fl = 'idle', iv = NOW_US})
  drop(r, 'own', 'fp', 'job', 'att', 'rep', 'rt', 'nx', 'dl', 'at', 'ho', 'pk', 'ref', 'ask', 'xm')
  remove(r, 'env', 'sh', 'run', 'sp')
  r.keep = NOW + TOMBSTONE_KEPT
end

-- Let the call under way be the job's last.
local function cancel_running(r)
  if not is_cancelled(r) then set(r, {ek = 'cancelled', er = 'cancelled', ej = r.job, ex = NOW + FLIGHT_KEPT}) end
end
