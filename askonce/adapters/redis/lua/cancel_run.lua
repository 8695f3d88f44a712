-- cancel_run: cancel the jobs of one run that no other run shares, among some jobs in flight of a bucket.
-- KEYS index           ARGV run, cursor of the last call (0: begin)
-- returns the next cursor ("0": the end), and how many were cancelled, running, shared, unreadable
--
-- A walk by rank would miss jobs, since each verb moves them in the index; a walk by cursor meets all that stay in it.
local run, cancelled, running, shared, unreadable = ARGV[1], 0, 0, 0, 0

local function look_at(key, is_shared)
  local r = load(key)
  if not r.present or r.fl == 'idle' then return end
  if is_shared then
    shared = shared + 1
  elseif r.fl == 'running' then
    cancel_running(r)
    commit(r, KEYS[1])
    running = running + 1
  else
    end_unrun(r, 'cancelled')
    commit(r, KEYS[1])
    cancelled = cancelled + 1
  end
end

local found = redis.call('ZSCAN', KEYS[1], ARGV[2], 'COUNT', CANCEL_LOOKS)
for i = 1, #found[2], 2 do
  local key = SLOT .. 'rec:' .. found[2][i]
  local of = redis.pcall('HMGET', key, 'run', 'sh')
  if of[1] == run and not pcall(look_at, key, of[2]) then unreadable = unreadable + 1 end
end
return {found[1], cancelled, running, shared, unreadable}
