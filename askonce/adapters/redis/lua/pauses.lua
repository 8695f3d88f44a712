-- Pauses and marks of this bucket: one hash, which is absent while there are none. A field is a word and names, one a
-- line; a pause holds its note, a mark its time in microseconds.
--
-- Set the record's mark, and return the note of the pause that holds for the job, or nil.
local function control(r, task, tail, run)
  if redis.call('EXISTS', SLOT .. 'ctl') == 0 then return nil end
  local tenant, model, version = brought(tail)
  run = run or redis.call('HGET', r.key, 'run') or ''
  local marks = redis.call('HMGET', SLOT .. 'ctl', 'mark\ntask\n' .. task, 'mark\ntenant\n' .. tenant,
    'mark\nversion\n' .. task .. '\n' .. version)
  for i = 1, 3 do r.mark = math.max(r.mark, tonumber(marks[i] or 0)) end
  local pauses = redis.call('HMGET', SLOT .. 'ctl', 'pause\nall', 'pause\ntask\n' .. task, 'pause\ntenant\n' .. tenant,
    'pause\nrun\n' .. run, 'pause\nmodel\n' .. model)
  for i = 1, 5 do
    if pauses[i] then
      r.paused = pauses[i]
      return r.paused
    end
  end
end

-- Put a job back. It is sent again when its rest is over; nothing counts as an attempt.
local function park(r, reason, after)
  local since, times = string.match(r.pk, '^(%d+) (%d+) ')
  set(r, {fl = 'queued', at = '0', nx = NOW + after, dl = NOW + after,
    pk = string.format('%d %d ', since or NOW, (times or 0) + 1) .. reason})
  drop(r, 'rep', 'rt', 'ho')
end

-- A paused job is looked at again when its pause ends (control.lua), or after a while for safety. One that expires
-- is looked at more and more often: a pause that ends shortly before must leave it time.
local function look_at_paused(r)
  local xe = asked(r).xe
  return NOW + (xe > 0 and math.max((xe - NOW) / 8, PAUSE_REST) or PAUSE_LOOK)
end

local function park_paused(r)
  park(r, 'paused', PAUSE_REST)
  r.look = look_at_paused(r)
end
