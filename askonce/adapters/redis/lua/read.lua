-- read: look at the record; changes nothing.
-- KEYS record          returns reply(ok), own_part, and the answer that only the job's own waiters get
local r = load(KEYS[1])
if not r.present then return {{'ok'}, EMPTY, EMPTY} end
control(r, r.task, asked(r).tail)
local late = EMPTY
if r.fl == 'idle' and NOW >= r.hx and r.vf > r.mark then
  local got = redis.call('HMGET', r.key, 'val', 'vm')
  if got[1] then late = value_part(nil, r, got) end -- else a sweep has deleted it
end
return {reply('ok', r), own_part(nil, r, redis.call('HMGET', r.key, 'run', 'xp', 'iv')), late}
