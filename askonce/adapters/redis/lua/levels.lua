-- levels: what one bucket holds; changes nothing.
-- KEYS index           returns jobs in flight, quarantined jobs, then queue and priority (one a line), and for how many
--                      milliseconds that queue has delivered nothing younger, ...
local found = {redis.call('ZCARD', KEYS[1]), redis.call('ZCOUNT', SLOT .. 'dead', '(' .. NOW, '+inf')}
local kept = redis.call('HGETALL', SLOT .. 'progress')
for i = 1, #kept, 2 do
  found[#found + 1], found[#found + 2] = kept[i], NOW - tonumber(kept[i + 1])
end
return found
