-- Pauses of this bucket: one hash, which is absent while there are none. A field is a word and names, one a line; it
-- holds the pause's note.
--
-- Set what marks say of the record, and return the note of the pause that holds for the job, or nil.
local function control(r, task, tail, run)
  read_marks(r)
  -- One key in each command: while a bucket moves to another node of a cluster, its server refuses two.
  if redis.call('EXISTS', SLOT .. 'ctl') == 0 then return nil end
  local tenant, model, _, queue = brought(tail)
  run = run or redis.call('HGET', r.key, 'run') or ''
  local pauses = redis.call('HMGET', SLOT .. 'ctl', 'pause\nall', 'pause\nqueue\n' .. queue, 'pause\ntask\n' .. task,
    'pause\ntenant\n' .. tenant, 'pause\nrun\n' .. run, 'pause\nmodel\n' .. model)
  for i = 1, 6 do
    if pauses[i] then
      r.paused, r.queue_paused = pauses[i], i <= 2
      return r.paused
    end
  end
end

-- Put a job back. It is sent again when its rest is over; nothing counts as an attempt.
local function put_back(r, after)
  set(r, {fl = 'queued', at = '0', nx = NOW + after, dl = NOW + after})
  drop(r, 'rep', 'rt', 'ho')
end

local function parked_since(r) return tonumber(string.match(r.pk, '^%d+') or NOW) end

local function park(r, reason, after)
  local times = tonumber(string.match(r.pk, '^%d+ (%d+) ') or 0)
  set(r, {pk = string.format('%d %d ', parked_since(r), times + 1) .. reason})
  put_back(r, after)
end

-- Only a pause parks a job 0 times. Its provider refused nothing meanwhile, so the next start forgets that time
-- (start.lua), and what was before it.
local function is_put_aside(r) return string.find(r.pk, '^%d+ 0 ') ~= nil end

local function put_aside(r)
  if not is_put_aside(r) then set(r, {pk = string.format('%d 0 paused', NOW)}) end
end

-- A paused job is looked at again when its pause ends (control.lua), or after a while for safety. One that expires
-- is looked at more and more often: a pause that ends shortly before must leave it time.
local function look_at_paused(r)
  local xe = asked(r).xe
  return NOW + (xe > 0 and math.max((xe - NOW) / 8, PAUSE_REST) or PAUSE_LOOK)
end

-- Leave a job whose queue is paused to its message, which goes back to that queue: it is out from now on.
local function leave_queued(r)
  if r.pk ~= '' then put_aside(r) end
  set(r, {fl = 'queued', at = NOW, dl = deadline(r, r.rep)})
  drop(r, 'nx', 'ho', 'rt')
  r.look = look_at_paused(r)
end

local function park_paused(r)
  put_aside(r)
  put_back(r, PAUSE_REST)
  r.look = look_at_paused(r)
end
