-- runs: the records of one run, or of all.
-- KEYS runs            ARGV name (nothing: all, the last changed first), kept for
-- returns a flat list: name, task, holder, state, started, updated, alive (0, 1), stop, facts, ...      times in ms
local names, found = {ARGV[1]}, {}
if ARGV[1] == '' then
  names = redis.call('ZRANGE', KEYS[1], '+inf', '(' .. string.format('%.0f', NOW - ARGV[2]), 'BYSCORE', 'REV')
end
for _, name in ipairs(names) do
  local kept = redis.pcall('HMGET', KEYS[1] .. ':' .. name, 'task', 'holder', 'state', 'started', 'updated', 'ends',
    'stop', 'facts')
  local task, holder, state, started, updated, ends, stop, facts = unpack(kept)
  local known = task and holder and state and facts and tonumber(started) and tonumber(updated)
  if known and tonumber(updated) > NOW - ARGV[2] then
    local alive = tonumber(ends or 0) > NOW and 1 or 0
    for _, part in ipairs({name, task, holder, state, tonumber(started), tonumber(updated), alive, stop or '', facts}) do
      found[#found + 1] = part
    end
  end
end
return found
