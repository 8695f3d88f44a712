-- read: look at the record; changes nothing.
-- KEYS record          returns reply('ok'), and task, fingerprint, owner of a record that is there
local r = load(KEYS[1])
return {reply('ok', r), r.task, r.fp, r.own}
