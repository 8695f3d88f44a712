-- start: lease the key to one owner, if its job is the one admitted.
-- KEYS record, index   ARGV job, owner, fingerprint, lease
-- returns reply(granted | done | busy | backoff | superseded | negative | conflict | absent)
local job, owner, lease = ARGV[1], ARGV[2], tonumber(ARGV[4])
if lease <= 0 then error('ASKONCE_LEASE') end
local r = load(KEYS[1])

local function grant()
  if r.att >= r.ma then
    quarantine(r, 'attempts_spent')
    commit(r, KEYS[2])
    return reply('negative', r)
  end
  if r.fl == 'running' then note(r, 'worker_lost') end
  set(r, {fl = 'running', own = owner, fen = math.max(r.fen + 1, NOW_US), dl = NOW + lease, att = r.att + 1,
    rep = 0, rt = '', nx = 0})
  commit(r, KEYS[2])
  return reply('granted', r)
end

if not r.present then return reply('absent', r) end
if r.job ~= job then
  if r.fp ~= ARGV[3] then return reply('superseded', r, true) end
  return reply(is_fresh(r) and 'done' or 'superseded', r)
end
if r.fp ~= ARGV[3] then return reply('conflict', r, true) end

if r.fl == 'running' then
  if r.own == owner then return reply('granted', r) end
  if NOW < r.dl then return reply('busy', r) end
  return grant()
end
if r.fl == 'queued' then
  if NOW < r.nx then return reply('backoff', r) end
  return grant()
end
-- A job that was quarantined because no message came is taken up again by a message that came after all.
if r.ek == 'quarantined' and r.er == 'undeliverable' and NOW < r.ex then
  clear_failure(r)
  return grant()
end
if failure_answers(r) then return reply('negative', r) end
return reply(has_value(r) and 'done' or 'superseded', r)
