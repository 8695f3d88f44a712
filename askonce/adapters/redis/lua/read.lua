-- read: look at the record; changes nothing.
-- KEYS record          returns reply(ok), and own_part
local r = load(KEYS[1])
return {reply('ok', r), own_part(nil, r)}
