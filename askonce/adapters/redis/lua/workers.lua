-- workers: the announcements whose time is not over.
-- KEYS workers         ARGV most workers, most bytes of one
-- returns a flat list: worker, announcement, since, age, ...       in milliseconds
--
-- What is too long, or no announcement at all, is something else's: it is left out.
local found = {}
for _, worker in ipairs(redis.call('ZRANGE', KEYS[1], '(' .. NOW, '+inf', 'BYSCORE', 'LIMIT', 0, ARGV[1])) do
  local kept = redis.pcall('HMGET', KEYS[1] .. ':' .. worker, 'said', 'at', 'since')
  local at, since = tonumber(kept[2]), tonumber(kept[3])
  if kept[1] and at and since and #kept[1] <= tonumber(ARGV[2]) then
    for _, part in ipairs({worker, kept[1], since, NOW - at}) do found[#found + 1] = part end
  end
end
return found
