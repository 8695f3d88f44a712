-- fold: add the counters of one day of a bucket to those of the day and of all days, once.
-- KEYS all days, the day  ARGV bucket, day, the day is kept for, then names and amounts in turn
-- returns 1 where it was the first
-- The mark is the last day of the bucket that is in the sum. The days of a bucket are folded in their order, so one
-- mark refuses each that is in it already, to whoever read it however long ago. Each sum has its own: it is read alone.
local mark = 'folded\n' .. ARGV[1]
if tonumber(redis.call('HGET', KEYS[1], mark) or -1) >= tonumber(ARGV[2]) then return 0 end
for _, sum in ipairs(KEYS) do
  redis.call('HSET', sum, mark, ARGV[2])
  for i = 4, #ARGV, 2 do add_within(MAX_SUMMED, 'call', sum, '', ARGV[i], tonumber(ARGV[i + 1])) end
end
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return 1
