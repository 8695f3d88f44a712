-- The message of a task has places to fill: a control character, which JSON has nowhere, and a digit. Cut it there:
-- texts and places by turns, and the digit of each place. A pattern would look at each of its characters.
local function cut(template)
  local parts, places, from, n = {}, {}, 1, 1
  local at = string.find(template, '\1', from, true)
  while at do
    parts[n], parts[n + 1] = string.sub(template, from, at - 1), ''
    places[n + 1] = string.sub(template, at + 1, at + 1)
    from, n = at + 2, n + 2
    at = string.find(template, '\1', from, true)
  end
  parts[n] = string.sub(template, from)
  return parts, places
end

local function quoted(text) return string.sub(cjson.encode(text), 2, -2) end

-- What fills the places in all messages of one caller.
local function shared_values()
  local tenant, _, version = brought(ARGV[12])
  return {['0'] = quoted(ARGV[14]), ['7'] = quoted(version), ['8'] = quoted(tenant), ['9'] = string.format('%d', NOW)}
end

-- The message of one job, of which monitors show a text.
local function filled(parts, places, values, key, tag, shown)
  values['1'], values['2'], values['3'] = quoted(ARGV[4]), key, quoted(shown)
  values['4'], values['5'], values['6'] = ARGV[2], quoted(ARGV[1]), tag
  for i = 2, #parts, 2 do parts[i] = values[places[i]] end
  return table.concat(parts)
end
