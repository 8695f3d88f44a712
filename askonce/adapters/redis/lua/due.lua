-- The answers of this bucket, by when somebody should look at them: when one goes stale, then when it ends. So each is
-- looked at twice in its life, and what is not due costs nothing.
local function sweep()
  local due = SLOT .. 'due'
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', NOW, 'LIMIT', 0, LOOKS)) do
    local known, r = pcall(load, SLOT .. 'rec:' .. member)
    -- One of a newer version is left to its own workers.
    if known and not (r.present and NOW < r.hx) then
      redis.call('ZREM', due, member)
    else
      redis.call('ZADD', due, known and r.hx or NOW + DAMAGED_REST, member)
    end
  end
end

