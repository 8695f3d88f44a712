-- find: the jobs of a task, in flight or quarantined in this bucket, whose payload has some fields.
-- KEYS index           ARGV task, then each field's name, and the field as JSON: "n":1
-- returns keys
--
-- A payload is canonical JSON, so a member that it has stands there letter by letter; it may stand in a part of the
-- payload too. Few payloads have it, and only these are decoded.
local function has_fields(payload)
  for i = 2, #ARGV, 2 do
    if not string.find(payload, ARGV[i + 1], 1, true) then return false end
  end
  local decoded = cjson.decode(payload)
  for i = 2, #ARGV, 2 do
    if decoded[ARGV[i]] ~= cjson.decode('{' .. ARGV[i + 1] .. '}')[ARGV[i]] then return false end
  end
  return true
end

local found = {}
for _, list in ipairs({KEYS[1], SLOT .. 'dead'}) do
  for _, member in ipairs(redis.call('ZRANGE', list, 0, -1)) do
    local kept = redis.pcall('HMGET', SLOT .. 'rec:' .. member, 'task', 'env')
    if kept[1] == ARGV[1] and kept[2] then
      -- What is no JSON is none of ours.
      local known, has = pcall(has_fields, kept[2])
      if known and has then found[#found + 1] = member end
    end
  end
end
return found
