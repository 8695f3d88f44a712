-- Shared by the verbs: one record is one HASH; all times are milliseconds of the store's clock. The constants in
-- capitals are those of `askonce/record.py`. A field that has its default is not stored.
--   lv layout     task        fp fingerprint  fl flight (idle, queued, running)
--   job admitted  own owner   fen fence       dl lease or queue deadline   att attempts
--   rep resends   rt job id of the last resend nx not before                env payload, until done or longer
--   ask what the admission brought, one line each: see `asked`             ref provider's reference
--   at the last message's time (absent: the admission's; 0: none is out)   ho handed out until
--   pk parked: since, times (0: by a pause), reason    run, sh  its run; other runs share it
--   val vm answer and its meta   vf its fence   vt stored at   sx fresh until   hx kept until
--   as asked for since it was made    uc its cost in micro-dollars    kp the payload is kept beside it
--   ek er failure kind, reason (see `is_cancelled`)
--   ej its job   eo the owner that last failed
--   ex answers until   ed em fallback and meta   hist reasons of the attempts so far
--   sp what the attempts so far cost: `askonce/bill.py`
--   xm an answer that an earlier run gives is never fresh   iv when an answer was removed before its time, until the next
--   xp the whole record is kept until
-- Beside the records of a bucket, in the same slot: idx (jobs in flight, by when to look at them), due (answers, by when
-- they go stale, then by when they end), answers (until when they are kept), dead (quarantined jobs), ctl (pauses),
-- marks, progress (what each queue has delivered), tally (counters).
-- Numbers go to the server as they are: it writes them with 17 digits, and all of ours are below 2^53.
local NOW_US = clock()
local NOW = math.floor(NOW_US / 1000)
local function slot_of(key) return string.sub(key, 1, (string.find(key, '}', 1, true)) + 1) end
local SLOT = slot_of(KEYS[1])

local function absent(key, lv)
  return {key = key, present = false, ghost = lv, dirty = {}, gone = {}, task = '', fp = '', fl = 'idle', job = '',
    own = '', fen = 0, dl = 0, att = 0, rep = 0, rt = '', nx = 0, ask = '', at = '', ho = 0, pk = '', ref = '',
    vf = 0, vt = 0, sx = 0, hx = 0, ek = '', er = '', ej = '', eo = '', ex = 0, xm = 0, mark = 0, aged = 0}
end

-- A record past its time is absent, whether or not the server has removed it already; so is one of an older layout.
-- Each field is written out: a loop over names costs as much as the rest of a script.
local function load(key)
  local lv, task, fp, fl, job, own, fen, dl, att, rep, rt, nx, ask, at, ho, pk, ref, vf, vt, sx, hx, ek, er, ej, eo, ex, xm, xp =
    unpack(redis.call('HMGET', key, 'lv', 'task', 'fp', 'fl', 'job', 'own', 'fen', 'dl', 'att', 'rep', 'rt', 'nx',
      'ask', 'at', 'ho', 'pk', 'ref', 'vf', 'vt', 'sx', 'hx', 'ek', 'er', 'ej', 'eo', 'ex', 'xm', 'xp'))
  if lv and tonumber(lv) > LAYOUT then error('ASKONCE_LAYOUT_NEWER') end
  if not lv or tonumber(lv) < LAYOUT or tonumber(xp) <= NOW then
    return absent(key, lv)
  end
  return {key = key, present = true, dirty = {}, gone = {}, task = task or '', fp = fp or '', fl = fl, job = job or '',
    own = own or '', fen = tonumber(fen or 0), dl = tonumber(dl or 0), att = tonumber(att or 0), rep = tonumber(rep or 0),
    rt = rt or '', nx = tonumber(nx or 0), ask = ask or '', at = at or '', ho = tonumber(ho or 0), pk = pk or '',
    ref = ref or '', vf = tonumber(vf or 0), vt = tonumber(vt or 0), sx = tonumber(sx or 0), hx = tonumber(hx or 0),
    ek = ek or '', er = er or '', ej = ej or '', eo = eo or '', ex = tonumber(ex or 0), xm = tonumber(xm or 0),
    mark = 0, aged = tonumber(xm or 0)}
end

-- What the admission brought. Most verbs need none of it, so it is one field, read on demand.
local function asked(r)
  if not r.asked then
    local ma, qd, ad, xe, tail = string.match(r.ask, '^(%d+)\n(%d+)\n(%d+)\n(%d+)\n(.*)$')
    r.asked = {ma = tonumber(ma or 0), qd = tonumber(qd or 0), ad = tonumber(ad or 0), xe = tonumber(xe or 0),
      tail = tail or '\n\n\n\n\n\n'}
  end
  return r.asked
end

local NEVER_EXPIRES = '^%d+\n%d+\n%d+\n0\n'

-- The caller's part of it: tenant, model, version, queue, priority, limits, headers, and each tag behind a line's end.
local function brought(tail)
  return string.match(tail, '^([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)(.*)$')
end

local function set(r, changes)
  local dirty = r.dirty
  local n = #dirty
  for name, value in pairs(changes) do
    r[name] = value
    dirty[n + 1], dirty[n + 2] = name, value
    n = n + 2
  end
end

local function ask_text(ma, qd, ad, xe, tail) return string.format('%d\n%d\n%d\n%d\n', ma, qd, ad, xe) .. tail end

local function write_ask(r, ma, qd, ad, xe, tail)
  r.asked = {ma = tonumber(ma), qd = tonumber(qd), ad = tonumber(ad), xe = tonumber(xe), tail = tail}
  set(r, {ask = ask_text(ma, qd, ad, xe, tail)})
end

-- Put fields back to their defaults, which are not stored.
local function drop(r, ...)
  for _, name in ipairs({...}) do
    local value = r[name]
    if value ~= '' and value ~= 0 then
      r[name] = type(value) == 'number' and 0 or ''
      r.gone[#r.gone + 1] = name
    end
  end
end

-- What an owner paid is counted once. The record forgets an owner whose write it counted, or ends soon, and that write
-- may be repeated: this note outlives the repetition.
local function note_booked(owner) redis.call('SET', SLOT .. 'booked:' .. owner, '1', 'PX', TOMBSTONE_KEPT) end

-- An owner whose failure was recorded has left the record; one that was lost is still there, and was not counted.
local function note_failed(r)
  if r.eo ~= '' and r.eo ~= r.own then note_booked(r.eo) end
end

-- Some fields are not loaded, and may be there.
local function remove(r, ...)
  for _, name in ipairs({...}) do r.gone[#r.gone + 1] = name end
end

local function clear_value(r)
  if r.hx > 0 then
    remove(r, 'val', 'vm', 'uc', 'as', 'kp')
    redis.call('ZREM', SLOT .. 'due', string.sub(r.key, -64))
  end
  drop(r, 'vf', 'vt', 'sx', 'hx')
end

local function clear_failure(r)
  r.revived = r.revived or r.ek == 'quarantined'
  if r.ek == 'fallback' then remove(r, 'ed', 'em') end
  note_failed(r)
  drop(r, 'ex', 'ek', 'er', 'ej', 'eo')
  if r.present then remove(r, 'hist') end
  r.hist = '' -- what is noted from here on in this script begins anew
end

-- An answer whose run began before a mark that removes is as good as none.
local function has_value(r) return NOW < r.hx and r.vf > r.mark end
local function is_fresh(r) return has_value(r) and NOW < r.sx end

-- For how long the answer has been too old for a caller who takes none older than *max_age*; -1: any that is fresh.
local function stale_for(r, max_age)
  return math.max(0, NOW - math.min(r.sx, max_age < 0 and r.sx or r.vt + max_age))
end

-- A failure after which the last good answer is served no more, as `freshness.py` says.
local function is_doubtful(r)
  return NOW < r.ex and r.ek ~= 'transient' and r.ek ~= 'quarantined' and r.ek ~= 'expired'
end

-- Whether the last good answer may be served while it is made anew, or while its key rests, to a caller for whom one is
-- good enough that has been too old for less than *meanwhile*.
local function is_good_meanwhile(r, max_age, meanwhile)
  return has_value(r) and not is_doubtful(r) and stale_for(r, max_age) < meanwhile
end

local function failure_answers(r) return NOW < r.ex and (r.ek == 'permanent' or r.ek == 'quarantined') end

-- Of a job under way: its call may still give an answer, and what would queue the job again ends it. It is kept as a
-- failure is. So an answer and a new job forget it, and duplicate.lua leaves its record to the rest of admit.
local function is_cancelled(r) return NOW < r.ex and r.ek == 'cancelled' end

-- The message's time: what the queue must have delivered before the message counts as lost. 0: no message is out.
local function sent_at(r) return r.at == '' and asked(r).ad or tonumber(r.at) end

local function is_expired(r) return r.fl == 'queued' and asked(r).xe > 0 and NOW >= asked(r).xe end

-- Whether no worker will start the job by itself any more. A long queue is not a lost message.
local function is_lost(r)
  if NOW < r.dl or NOW < r.ho then return false end
  local at = sent_at(r)
  if r.fl == 'running' or at == 0 then return true end
  local _, _, _, queue, priority = brought(asked(r).tail)
  if priority == '' then priority = '0' end
  local delivered = redis.call('HMGET', SLOT .. 'progress', queue .. '\n' .. priority, queue .. '\n*')
  return math.max(tonumber(delivered[1] or 0), tonumber(delivered[2] or 0)) > at + PROGRESS_SLACK
end

-- One process sends the message again; it counts once the message is out (resent.lua).
local function hand_out(r) set(r, {ho = NOW + math.min(HANDED_OUT, asked(r).qd)}) end

local function deadline(r, resends)
  local a = asked(r)
  local over = NOW + a.qd * 2 ^ math.min(resends, MAX_DOUBLINGS)
  return a.xe > 0 and math.min(over, a.xe) or over
end

-- When the reaper looks at the job: no later than at its expiry, since its callers wait for that.
local function look_at_expiry(r, at)
  local xe = r.fl == 'queued' and asked(r).xe or 0
  return xe > 0 and math.min(at, xe) or at
end

local function commit(r, index)
  local member = string.sub(r.key, -64)
  local kept = math.max(r.hx, r.ex, r.nx)
  if r.fl == 'idle' then
    redis.call('ZREM', index, member)
  else
    kept = math.max(kept, r.dl + FLIGHT_KEPT)
    redis.call('ZADD', index, math.floor(look_at_expiry(r, r.look or math.max(r.dl, r.ho))), member)
  end
  if r.quarantined or r.revived then -- other jobs pay nothing for the list
    local dead = SLOT .. 'dead'
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
  r.dirty, r.gone = {}, {} -- a script may go on with the record, and commit it again
end

local function wake(r) redis.call('PUBLISH', r.key, r.job) end
