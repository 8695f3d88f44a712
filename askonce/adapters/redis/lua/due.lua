-- When to look at this answer again; nil where there is none any more. What a mark removed is deleted, and a payload that
-- was kept for it. The times of its record stay: its owner may repeat the write.
local function look_at_answer(member)
  local r = load(SLOT .. 'rec:' .. member)
  if not r.present then return nil end
  read_marks(r)
  if has_value(r) then return r.hx end
  if NOW < r.hx then redis.call('HDEL', r.key, 'val', 'vm', 'uc', 'as') end
  if r.fl == 'idle' and r.ek ~= 'quarantined' then redis.call('HDEL', r.key, 'env', 'kp') end
  return nil
end

-- The answers of this bucket, by when somebody should look at them: when one goes stale, then when it ends. So each is
-- looked at twice in its life, and what is not due costs nothing. Looks at some that are due, at most so many.
local function sweep(most)
  local due = SLOT .. 'due'
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', NOW, 'LIMIT', 0, most)) do
    local known, again = pcall(look_at_answer, member)
    -- One of a newer version is left to its own workers; a damaged one costs no other its look.
    if not known then again = NOW + DAMAGED_REST end
    if again then redis.call('ZADD', due, again, member) else redis.call('ZREM', due, member) end
  end
end

-- Let the answer be looked at. Each one is looked at twice, so the index does not grow where no reaper runs, as beside
-- cached functions alone.
local function note_answer(r)
  redis.call('ZADD', SLOT .. 'due', r.sx, string.sub(r.key, -64))
  redis.call('PEXPIREAT', SLOT .. 'due', note_kept(r))
  pcall(sweep, 2)
end
