-- What is known of an entry of the schedule: one hash. Times are milliseconds of the store's clock; a slot is its time,
-- and one that a person made has an `h` after it.
--   last the latest slot that was decided    open the slot under way   since its begin   facts how far it is
--   wait the slots that begin after it       paused a note             resumed how often
--   forced whether the slot under way began although its entry was paused
--   done when a slot succeeded last          log what became of the last slots: slot, what, when, facts, one a line
local function schedule_note(key, slot, what, facts)
  local log = string.format('%s %s %.0f %s\n', slot, what, NOW, facts or '{}') .. (redis.call('HGET', key, 'log') or '')
  local kept = 0
  for _ = 1, LINES_KEPT do kept = string.find(log, '\n', kept + 1, true) or #log end
  redis.call('HSET', key, 'log', string.sub(log, 1, kept))
end

local function schedule_send(key, slot)
  redis.call('HSET', key, 'open', slot, 'since', NOW)
  redis.call('HDEL', key, 'facts', 'forced')
  schedule_note(key, slot, 'sent')
end

-- Begin the first slot that waits, unless one is under way or the entry is paused; return it.
local function schedule_next(key)
  local open, wait, paused = unpack(redis.call('HMGET', key, 'open', 'wait', 'paused'))
  if open or paused or not wait or wait == '' then return end
  local first, others = string.match(wait, '^(%S+) ?(.*)$')
  redis.call('HSET', key, 'wait', others)
  schedule_send(key, first)
  return first
end
