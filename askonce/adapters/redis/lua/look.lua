-- look: what an operator's list shows of a record; changes nothing.
-- KEYS record          returns as read, without the answer's bytes and without one that is past its time
local r = load(KEYS[1])
if not r.present then return {{'ok'}, EMPTY, EMPTY} end
control(r, r.task, asked(r).tail)
local got = redis.call('HMGET', r.key, 'run', 'xp', 'iv', 'sp', 'vm')
local value, failure, more = EMPTY, EMPTY, EMPTY
if has_value(r) then value = value_part(nil, r, {'', got[5]}) end
if r.ek ~= '' and NOW < r.ex then failure = failure_part(nil, r, {got[4]}) end
if r.pk ~= '' or r.paused then more = more_part('ok', r, EMPTY) end
return {{flight_part('ok', r), value, failure, more}, own_part(nil, r, got), EMPTY}
