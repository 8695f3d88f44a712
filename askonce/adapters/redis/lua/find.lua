-- find: the jobs in flight or quarantined in this bucket that have some names, and some fields in their payloads.
-- KEYS index           ARGV for task, tenant and run in turn: whether it counts (0, 1), the name; then for each field its
--                           name, and itself as JSON: "n":1
-- returns keys
--
-- A payload is canonical JSON, so a member that it has stands there letter by letter; it may stand in a part of the
-- payload too. Few payloads have it, and only these are decoded.
local function has_names(task, ask, run)
  local tenant = string.match(ask or '', '^%d+\n%d+\n%d+\n%d+\n([^\n]*)\n')
  return (ARGV[1] == '0' or task == ARGV[2]) and (ARGV[3] == '0' or tenant == ARGV[4])
    and (ARGV[5] == '0' or (run or '') == ARGV[6])
end

local function has_fields(payload)
  for i = 7, #ARGV, 2 do
    if not string.find(payload, ARGV[i + 1], 1, true) then return false end
  end
  local decoded = cjson.decode(payload)
  for i = 7, #ARGV, 2 do
    if decoded[ARGV[i]] ~= cjson.decode('{' .. ARGV[i + 1] .. '}')[ARGV[i]] then return false end
  end
  return true
end

local found = {}
for _, list in ipairs({KEYS[1], SLOT .. 'dead'}) do
  for _, member in ipairs(redis.call('ZRANGE', list, 0, -1)) do
    local key = SLOT .. 'rec:' .. member
    local kept = redis.pcall('HMGET', key, 'task', 'ask', 'run')
    if kept[1] and has_names(kept[1], kept[2], kept[3]) then
      -- What is no JSON is none of ours.
      local known, has = true, #ARGV < 7
      if not has then known, has = pcall(has_fields, redis.call('HGET', key, 'env') or '') end
      if known and has then found[#found + 1] = member end
    end
  end
end
return found
