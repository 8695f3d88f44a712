-- reap: collect jobs whose lease or queue deadline is over, and queue them again.
-- KEYS index           ARGV limit
-- returns a list of lost_part
--
-- The old owner's token stays until the next start: if that owner wakes first, its paid answer counts.
local prefix = string.sub(KEYS[1], 1, -4) .. 'rec:'
local lost = {}
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', NOW, 'LIMIT', 0, ARGV[1])) do
  local known, r = pcall(load, prefix .. member)
  if not known then
    redis.call('ZADD', KEYS[1], NOW + NEWER_REST, member) -- a newer version's: its own workers handle it
  elseif not r.present or r.fl == 'idle' then
    redis.call('ZREM', KEYS[1], member)
  elseif NOW < r.dl then
    redis.call('ZADD', KEYS[1], r.dl, member)
  elseif r.fl == 'running' and r.att >= r.ma then
    quarantine(r, 'attempts_spent')
    commit(r, KEYS[1])
  elseif r.rep >= MAX_RESENDS then
    quarantine(r, 'undeliverable')
    commit(r, KEYS[1])
  else
    local resends = r.rep + 1
    if r.fl == 'running' then note(r, 'worker_lost') end
    set(r, {fl = 'queued', rep = resends, nx = 0, dl = NOW + r.qd * 2 ^ math.min(resends, MAX_DOUBLINGS)})
    commit(r, KEYS[1])
    lost[#lost + 1] = lost_part(nil, r, redis.call('HMGET', r.key, 'env', 'ver'))
  end
end
return lost
