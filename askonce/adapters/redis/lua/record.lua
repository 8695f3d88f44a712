-- Shared by the verbs: one record is one HASH; all times are milliseconds of the store's clock. The constants in
-- capitals are those of `askonce/record.py`.
--   lv layout     task        fp fingerprint  fl flight (idle, queued, running)
--   job admitted  own owner   fen fence       dl lease or queue deadline   att attempts
--   rep resends   rt job id of the last resend nx not before                env payload, until done
--   ma max attempts  qd queue deadline (duration)   ref provider's reference
--   val vm answer and its meta   vf its fence   vt stored at   sx fresh until   hx kept until
--   ek er failure kind, reason   ej eo its job, owner   ex answers until   ed em fallback and meta
--   hist reasons of the attempts so far   ver the job's version and tenant
--   xp the whole record is kept until
-- Numbers go to the server as they are: it writes them with 17 digits, and all of ours are below 2^53.
local NOW_US = clock()
local NOW = math.floor(NOW_US / 1000)

-- A record past its time is absent, whether or not the server has removed it already. Each field is written out:
-- a loop over names costs as much as the rest of a script.
local function load(key)
  local lv, task, fp, fl, job, own, fen, dl, att, rep, rt, nx, ma, qd, ref, vf, vt, sx, hx, ek, er, ej, eo, ex, xp =
    unpack(redis.call('HMGET', key, 'lv', 'task', 'fp', 'fl', 'job', 'own', 'fen', 'dl', 'att', 'rep', 'rt', 'nx',
      'ma', 'qd', 'ref', 'vf', 'vt', 'sx', 'hx', 'ek', 'er', 'ej', 'eo', 'ex', 'xp'))
  if lv and tonumber(lv) > LAYOUT then error('ASKONCE_LAYOUT_NEWER') end
  if not lv or tonumber(xp) <= NOW then
    return {key = key, present = false, ghost = lv, dirty = {}, gone = {}, task = '', fp = '', fl = 'idle', job = '',
      own = '', fen = 0, dl = 0, att = 0, rep = 0, rt = '', nx = 0, ma = 0, qd = 0, ref = '', vf = 0, vt = 0,
      sx = 0, hx = 0, ek = '', er = '', ej = '', eo = '', ex = 0}
  end
  return {key = key, present = true, dirty = {}, gone = {}, task = task, fp = fp or '', fl = fl, job = job or '',
    own = own or '', fen = tonumber(fen or 0), dl = tonumber(dl or 0), att = tonumber(att or 0), rep = tonumber(rep or 0), rt = rt or '',
    nx = tonumber(nx or 0), ma = tonumber(ma or 0), qd = tonumber(qd or 0), ref = ref or '', vf = tonumber(vf or 0), vt = tonumber(vt or 0),
    sx = tonumber(sx or 0), hx = tonumber(hx or 0), ek = ek or '', er = er or '', ej = ej or '', eo = eo or '', ex = tonumber(ex or 0)}
end

local function set(r, changes)
  for name, value in pairs(changes) do
    r[name] = value
    r.dirty[#r.dirty + 1] = name
    r.dirty[#r.dirty + 1] = value
  end
end

-- Numbers are cleared to 0, words to nothing, as `load` shows an absent field.
local function clear(r, numbers, words)
  for _, name in ipairs(numbers) do
    r[name] = 0
    r.gone[#r.gone + 1] = name
  end
  for _, name in ipairs(words) do
    r[name] = ''
    r.gone[#r.gone + 1] = name
  end
end

local function clear_value(r) clear(r, {'vf', 'vt', 'sx', 'hx'}, {'val', 'vm'}) end
local function clear_failure(r)
  r.revived = r.revived or r.ek == 'quarantined'
  clear(r, {'ex'}, {'ek', 'er', 'ej', 'eo', 'ed', 'em', 'hist'})
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
    redis.call('ZADD', index, r.dl, member)
  end
  if r.quarantined or r.revived then -- other jobs pay nothing for the list
    local dead = string.sub(index, 1, -4) .. 'dead'
    redis.call('ZREM', dead, member)
    if r.quarantined then
      redis.call('ZADD', dead, r.ex, member)
      redis.call('PEXPIREAT', dead, r.ex)
    end
  end
  if not r.present and r.ghost then redis.call('DEL', r.key) end
  if #r.gone > 0 and r.present then redis.call('HDEL', r.key, unpack(r.gone)) end
  r.present = true
  set(r, {lv = LAYOUT, xp = math.max(kept, r.keep or 0)})
  redis.call('HSET', r.key, unpack(r.dirty))
  redis.call('PEXPIREAT', r.key, r.xp)
end

local function wake(r) redis.call('PUBLISH', r.key, r.job) end

-- The last reasons for which a run of this job gave no answer, oldest first.
local function note(r, reason)
  local past = r.hist or redis.call('HMGET', r.key, 'hist')[1] or ''
  local _, known = string.gsub(past, '%S+', '')
  if known >= HISTORY_KEPT then past = string.match(past, '^%S+ (.*)$') end
  set(r, {hist = (past == '' and '' or past .. ' ') .. string.gsub(string.sub(reason, 1, REASON_KEPT), '%s', '_')})
end

local function fail(r, kind, reason, keep)
  note(r, reason)
  set(r, {ek = kind, er = reason, ej = r.job, eo = r.own, ex = NOW + keep})
end

-- The payload stays with a quarantined job, so that a person can replay it.
local function quarantine(r, reason)
  fail(r, 'quarantined', reason, QUARANTINE_KEPT)
  set(r, {fl = 'idle', nx = 0})
  r.quarantined = true
  wake(r)
end
