-- Shared by the verbs: one record is one HASH; all times are milliseconds of the store's clock.
--   lv layout     task        fp fingerprint  fl flight (idle, queued, running)
--   job admitted  own owner   fen fence       dl lease or queue deadline   att attempts
--   rep resends   rt token of who resent last nx not before                env payload, until done
--   ma max attempts  qd queue deadline (duration)   ref provider's reference
--   val vm answer and its meta   vf its fence   vt stored at   sx fresh until   hx kept until
--   ek er failure kind, reason   ej eo its job, owner   ex answers until   ed em fallback and meta
--   xp the whole record is kept until
local LAYOUT = 1
local FLIGHT_KEPT = 604800000 -- a week: a job in flight outlives any outage of the workers
local QUARANTINE_KEPT = 604800000
local TOMBSTONE_KEPT = 3600000 -- longer than any lease: a late complete must still be fenced
local NOW_US = clock()
local NOW = math.floor(NOW_US / 1000)

local FIELDS = {'lv', 'task', 'fp', 'fl', 'job', 'own', 'fen', 'dl', 'att', 'rep', 'rt', 'nx', 'ma', 'qd',
  'ref', 'vf', 'vt', 'sx', 'hx', 'ek', 'er', 'ej', 'eo', 'ex', 'xp'}
local NUMBERS = {fen = true, dl = true, att = true, rep = true, nx = true, ma = true, qd = true, vf = true,
  vt = true, sx = true, hx = true, ex = true, xp = true}
local FAILURE = {'ek', 'er', 'ej', 'eo', 'ex', 'ed', 'em'}
local VALUE = {'val', 'vm', 'vf', 'vt', 'sx', 'hx'}

local function text(value)
  if type(value) == 'number' then return string.format('%.0f', value) end
  return value
end

-- A record past its time is absent, whether or not the server has removed it already.
local function load(key)
  local got = redis.call('HMGET', key, unpack(FIELDS))
  if got[1] and tonumber(got[1]) > LAYOUT then error('ASKONCE_LAYOUT_NEWER') end
  local r = {key = key, present = got[1] and tonumber(got[#FIELDS]) > NOW, ghost = got[1], dirty = {}, gone = {}}
  for i, name in ipairs(FIELDS) do
    local value = r.present and got[i] or nil
    if NUMBERS[name] then r[name] = tonumber(value) or 0 else r[name] = value or '' end
  end
  if not r.present then r.fl = 'idle' end
  return r
end

local function set(r, changes)
  for name, value in pairs(changes) do
    r[name] = value
    r.dirty[#r.dirty + 1] = name
    r.dirty[#r.dirty + 1] = text(value)
  end
end

local function clear(r, names)
  for _, name in ipairs(names) do
    r[name] = NUMBERS[name] and 0 or ''
    r.gone[#r.gone + 1] = name
  end
end

local function has_value(r) return NOW < r.hx end
local function is_fresh(r) return has_value(r) and NOW < r.sx end
local function failure_answers(r) return NOW < r.ex and (r.ek == 'permanent' or r.ek == 'quarantined') end

local function commit(r, index)
  local member = string.sub(r.key, -64)
  local kept = math.max(r.hx, r.ex, r.nx)
  if r.fl == 'idle' then
    redis.call('ZREM', index, member)
  else
    kept = math.max(kept, r.dl + FLIGHT_KEPT)
    redis.call('ZADD', index, text(r.dl), member)
  end
  if not r.present and r.ghost then redis.call('DEL', r.key) end
  if #r.gone > 0 and r.present then redis.call('HDEL', r.key, unpack(r.gone)) end
  r.present = true
  set(r, {lv = LAYOUT, xp = math.max(kept, r.keep or 0)})
  redis.call('HSET', r.key, unpack(r.dirty))
  redis.call('PEXPIREAT', r.key, text(r.xp))
end

local function wake(r) redis.call('PUBLISH', r.key, r.job) end

local function fail(r, kind, reason, keep)
  set(r, {ek = kind, er = reason, ej = r.job, eo = r.own, ex = NOW + keep})
end

-- The payload stays with a quarantined job, so that a person can replay it.
local function quarantine(r, reason)
  fail(r, 'quarantined', reason, QUARANTINE_KEPT)
  set(r, {fl = 'idle', nx = 0})
  wake(r)
end

-- What goes back to the caller; a bare reply discloses nothing of the record.
local function reply(outcome, r, bare)
  if bare or not r.present then return {outcome} end
  local value = {'', '', '0', '0', '0'}
  if has_value(r) then
    local got = redis.call('HMGET', r.key, 'val', 'vm')
    value = {got[1] or '', got[2] or '', text(r.vf), text(r.vt), is_fresh(r) and '1' or '0'}
  end
  local failed = {'', '', '', '0', '', ''}
  if r.ek ~= '' and NOW < r.ex then
    local got = r.ek == 'fallback' and redis.call('HMGET', r.key, 'ed', 'em') or {}
    failed = {r.ek, r.er, r.ej, text(r.ex - NOW), got[1] or '', got[2] or ''}
  end
  return {outcome, text(NOW), r.task, r.fp, r.fl, r.job, r.own, text(r.fen), text(r.dl - NOW), text(r.att),
    text(r.rep), text(r.nx - NOW), r.ref, value[1], value[2], value[3], value[4], value[5],
    failed[1], failed[2], failed[3], failed[4], failed[5], failed[6]}
end
