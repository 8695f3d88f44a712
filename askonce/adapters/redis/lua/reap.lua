-- reap: collect jobs whose lease or queue deadline is over, and queue them again.
-- KEYS index           ARGV limit, max resends
-- returns a flat list: key, job, fingerprint, task, payload, resends, edition, ...
--
-- The old owner's token stays until the next start: if it wakes first, its paid answer counts.
local NEWER_REST = 60000
local prefix = string.sub(KEYS[1], 1, -4) .. 'rec:'
local lost = {}
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', NOW, 'LIMIT', 0, ARGV[1])) do
  local known, r = pcall(load, prefix .. member)
  if not known then
    redis.call('ZADD', KEYS[1], NOW + NEWER_REST, member) -- a newer version's: its own workers look after it
  elseif not r.present or r.fl == 'idle' then
    redis.call('ZREM', KEYS[1], member)
  elseif NOW < r.dl then
    redis.call('ZADD', KEYS[1], r.dl, member)
  elseif r.fl == 'running' and r.att >= r.ma then
    quarantine(r, 'attempts_spent')
    commit(r, KEYS[1])
  elseif r.rep >= tonumber(ARGV[2]) then
    quarantine(r, 'undeliverable')
    commit(r, KEYS[1])
  else
    local resends = r.rep + 1
    if r.fl == 'running' then note(r, 'worker_lost') end
    set(r, {fl = 'queued', rep = resends, nx = 0, dl = NOW + r.qd * 2 ^ math.min(resends, 16)})
    commit(r, KEYS[1])
    local kept = redis.call('HMGET', r.key, 'env', 'ver')
    for _, item in ipairs({member, r.job, r.fp, r.task, kept[1] or '', resends, kept[2] or ''}) do
      lost[#lost + 1] = item
    end
  end
end
return lost
