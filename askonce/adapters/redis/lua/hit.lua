-- hit: return the answer while it is fresh, or while a living job makes a stale one anew, and count that; the path of a
-- cached function, so it loads no more than that needs. Whatever else the record says is left to admit.
-- KEYS record, index   ARGV fingerprint, task, tenant, model, for how long a stale answer is good enough meanwhile
-- returns nothing | {job, answer, meta, fence, stored at, age, fresh for (stale: below 0), micro-dollars (-1: unknown)}
local lv, fp, sx, hx, vf, vt, job, ask, cost, asked_for, data, meta, fl, dl, ex = unpack(redis.call('HMGET', KEYS[1],
  'lv', 'fp', 'sx', 'hx', 'vf', 'vt', 'job', 'ask', 'uc', 'as', 'val', 'vm', 'fl', 'dl', 'ex'))
if not data or fp ~= ARGV[1] then return nil end
if tonumber(lv) > LAYOUT then error('ASKONCE_LAYOUT_NEWER') end
if tonumber(lv) < LAYOUT then return nil end
local r = {task = ARGV[2], ask = ask or '', own = '', ref = '', fen = 0, vf = tonumber(vf), vt = tonumber(vt), sx = tonumber(sx),
  hx = tonumber(hx), ek = '', ex = 0, mark = 0, aged = 0}
read_marks(r)
local is_stale = not is_fresh(r)
local is_made_anew = fl ~= 'idle' and NOW < tonumber(dl or 0) and not ex
if is_stale and not (is_made_anew and is_good_meanwhile(r, -1, tonumber(ARGV[5]))) then return nil end
local name = ARGV[2] .. '\n' .. ARGV[3] .. '\n' .. ARGV[4]
if not asked_for then redis.pcall('HSET', KEYS[1], 'as', 1) end
count(name, is_stale and 'stale' or 'hit', 1)
count(name, cost and 'avoided_micro_usd' or 'avoided_unknown', tonumber(cost or 1))
return {job, data, meta or '', r.vf, r.vt, NOW - r.vt, r.sx - NOW, tonumber(cost or -1)}
