-- reap: find jobs that no worker will start by itself any more, and hand them to the caller, who sends their messages
-- and calls `resent`. Handed out is not counted: a reply that is lost costs time, never a resend.
-- KEYS index           ARGV most jobs, most bytes of payload, then for each queue that the caller knows of: queue,
--                           priority, how: at (a message's time was delivered) | ago (all until so long ago), ms
-- returns a list of lost_part; of a damaged record its key only
--
-- Answers that end are forgotten by the server; here they leave their index.
--
-- The old owner's token stays until the next start: if that owner wakes first, its paid answer counts.
local jobs, bytes, lost = tonumber(ARGV[1]), tonumber(ARGV[2]), {}
for i = 3, #ARGV, 4 do
  local field, time = ARGV[i] .. '\n' .. ARGV[i + 1], tonumber(ARGV[i + 3])
  if ARGV[i + 2] == 'ago' then time = NOW - time end
  local known = tonumber(redis.call('HGET', SLOT .. 'progress', field) or 0)
  -- A time that is still to come proves nothing: another server's clock was ahead, or a stranger wrote it.
  local latest = NOW + PROGRESS_SLACK
  if time <= latest and (known < time or known > latest) then
    redis.call('HSET', SLOT .. 'progress', field, time)
    redis.call('PEXPIRE', SLOT .. 'progress', FLIGHT_KEPT)
  end
end

local function look_again(member, at) redis.call('ZADD', KEYS[1], math.floor(at), member) end

local function quarantined(r, reason)
  quarantine(r, reason)
  commit(r, KEYS[1])
end

local function ended(r, reason)
  end_unrun(r, reason)
  commit(r, KEYS[1])
  return true
end

-- Returns false when the budget is spent.
local function look_at(member)
  local r = load(SLOT .. 'rec:' .. member)
  if not r.present or r.fl == 'idle' then
    redis.call('ZREM', KEYS[1], member)
    return true
  end
  if is_expired(r) then return ended(r, 'expired') end
  if NOW < math.max(r.dl, r.ho) then
    look_again(member, look_at_expiry(r, math.max(r.dl, r.ho)))
    return true
  end
  if r.fl == 'queued' and control(r, r.task, asked(r).tail) then
    set(r, {dl = NOW}) -- a record in flight is kept for so long from its deadline
    if r.pk ~= '' then put_aside(r) end
    r.look = look_at_paused(r)
    commit(r, KEYS[1])
    return true
  end
  if not is_lost(r) then
    -- Behind many others in its queue: the longer it waits, the less often it is looked at.
    local rest = math.min(math.max(asked(r).qd, (NOW - sent_at(r)) / 8), LOOK_REST)
    look_again(member, look_at_expiry(r, NOW + rest))
    return true
  end
  if r.fl == 'running' and r.att >= asked(r).ma then
    doubt(r)
    quarantined(r, 'attempts_spent')
    return true
  end
  if r.rep >= MAX_RESENDS then
    quarantined(r, 'undeliverable')
    return true
  end
  local size = redis.call('HSTRLEN', r.key, 'env')
  if #lost >= jobs or (#lost > 0 and size > bytes) then return false end
  bytes = bytes - size
  if r.fl == 'running' then
    doubt(r)
    note(r, 'worker_lost')
    set(r, {fl = 'queued', at = '0', dl = NOW})
    drop(r, 'nx')
    if is_cancelled(r) then return ended(r, 'cancelled') end
    if is_expired(r) then return ended(r, 'expired') end
  end
  hand_out(r)
  commit(r, KEYS[1])
  lost[#lost + 1] = lost_part(nil, r, redis.call('HMGET', r.key, 'env', 'run'))
  return true
end

if jobs == 0 then return lost end
sweep(LOOKS)
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', NOW, 'LIMIT', 0, LOOKS)) do
  local known, goes_on = pcall(look_at, member)
  if not known then
    -- A newer version's record is left to its own workers; a damaged one costs no other its look.
    look_again(member, NOW + DAMAGED_REST)
    if not string.find(tostring(type(goes_on) == 'table' and goes_on.err or goes_on), 'ASKONCE_LAYOUT_NEWER', 1, true) then
      lost[#lost + 1] = {member}
    end
  elseif not goes_on then
    break
  end
end
return lost
