-- Delete an answer that a mark removed. The times of its record stay: its owner may repeat the write.
local function delete_removed(r)
  redis.call('HDEL', r.key, 'val', 'vm', 'uc', 'as')
  if r.fl == 'idle' and r.ek ~= 'quarantined' then redis.call('HDEL', r.key, 'env') end
end

-- The answers of this bucket, by when somebody should look at them: when one goes stale, then when it ends. So each is
-- looked at twice in its life, and what is not due costs nothing.
local function sweep()
  local due = SLOT .. 'due'
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', NOW, 'LIMIT', 0, LOOKS)) do
    local known, r = pcall(load, SLOT .. 'rec:' .. member)
    local kept = known and r.present and NOW < r.hx
    if kept then read_marks(r) end
    if kept and not has_value(r) then
      delete_removed(r)
      kept = false
    end
    -- One of a newer version is left to its own workers.
    if known and not kept then
      redis.call('ZREM', due, member)
    else
      redis.call('ZADD', due, known and r.hx or NOW + DAMAGED_REST, member)
    end
  end
end
