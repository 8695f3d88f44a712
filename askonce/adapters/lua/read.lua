-- read: look at the record; changes nothing.
-- KEYS record          returns reply('ok')
return reply('ok', load(KEYS[1]))
