-- exchange: keep one member's note on a board, and show the board.
-- KEYS board, boards   ARGV member, note (nothing: the member leaves), ttl of the note, name, ttl of the board
-- returns now, version, state, member, note, ...
local own, ttl = 'note\n' .. ARGV[1], tonumber(ARGV[3])
if ARGV[2] == '' then
  redis.call('HDEL', KEYS[1], own)
else
  redis.call('HSET', KEYS[1], own, string.format('%.0f\n', NOW + ttl) .. ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
  redis.call('ZADD', KEYS[2], NOW + ARGV[5], ARGV[4])
  redis.call('PEXPIRE', KEYS[2], ARGV[5])
end
local version = redis.call('HGET', KEYS[1], 'version') or '0'
if not string.find(version, '^%d+$') or #version > 15 then
  -- No proposal wrote it, so that none could replace it.
  redis.call('HDEL', KEYS[1], 'version', 'state')
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', NOW)
local found = {NOW, '0', ''}
local kept = redis.call('HGETALL', KEYS[1])
for i = 1, #kept, 2 do
  local name, value = kept[i], kept[i + 1]
  if name == 'version' then
    found[2] = value
  elseif name == 'state' then
    found[3] = value
  else
    local ends, note = string.match(value, '^(%d+)\n(.*)$')
    -- One that ends a minute later than a new one was written before the clock was set back.
    if ends and tonumber(ends) > NOW and tonumber(ends) <= NOW + ttl + 60000 then
      found[#found + 1] = string.sub(name, 6)
      found[#found + 1] = note
    else
      redis.call('HDEL', KEYS[1], name)
    end
  end
end
return found
