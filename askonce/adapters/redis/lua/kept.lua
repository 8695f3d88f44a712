-- kept: answers of this bucket, or of some of its keys, that have some names.
-- KEYS index           ARGV where the last look ended (0: this is the first; -1: only the keys that follow), for task,
--                           tenant and tag in turn: whether it counts (0, 1), the name; then keys
-- returns where this look ended (0: there are no more), then for each answer its key, task, ask, age, how long it is
-- fresh (negative: since when it is stale), how long it is kept
local function is_meant(r)
  local tenant, _, _, _, _, _, _, tags = brought(asked(r).tail)
  return (ARGV[2] == '0' or r.task == ARGV[3]) and (ARGV[4] == '0' or tenant == ARGV[5])
    and (ARGV[6] == '0' or string.find(tags .. '\n', '\n' .. ARGV[7] .. '\n', 1, true) ~= nil)
end

local members, found = {unpack(ARGV, 8)}, {0}

local function look_at(member)
  local r = load(SLOT .. 'rec:' .. member)
  if not r.present or not is_meant(r) then return end
  read_marks(r)
  if not has_value(r) then return end
  for _, part in ipairs({member, r.task, r.ask, NOW - r.vt, r.sx - NOW, r.hx - NOW}) do found[#found + 1] = part end
end

if ARGV[1] ~= '-1' then
  -- By its cursor: by rank it would pass over answers whenever others leave their places before them.
  local cursor, page = unpack(redis.call('ZSCAN', SLOT .. 'due', ARGV[1], 'COUNT', LOOKS))
  found[1] = cursor
  for i = 1, #page, 2 do members[#members + 1] = page[i] end
end
-- A damaged record costs no other its look.
for _, member in ipairs(members) do pcall(look_at, member) end
return found
