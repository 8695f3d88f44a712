-- schedule_look: what is known of some entries.
-- KEYS entries
-- returns the time in ms, then for each entry: last, open, since, wait, paused, resumed, facts, done, forced
local found = {NOW}
for i, key in ipairs(KEYS) do
  found[i + 1] =
    redis.call('HMGET', key, 'last', 'open', 'since', 'wait', 'paused', 'resumed', 'facts', 'done', 'forced')
end
return found
