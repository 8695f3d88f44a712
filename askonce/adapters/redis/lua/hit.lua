-- hit: return the answer while it is fresh, and count that; the path of a cached function, so it loads no more than that
-- needs. Whatever else the record says is left to admit.
-- KEYS record, index   ARGV fingerprint, task, tenant, model
-- returns nothing | {job, answer, meta, fence, stored at, age, fresh for, micro-dollars (-1: unknown)}
local lv, fp, sx, vf, vt, job, ask, cost, asked_for, data, meta = unpack(redis.call('HMGET', KEYS[1],
  'lv', 'fp', 'sx', 'vf', 'vt', 'job', 'ask', 'uc', 'as', 'val', 'vm'))
if not data or fp ~= ARGV[1] then return nil end
if tonumber(lv) > LAYOUT then error('ASKONCE_LAYOUT_NEWER') end
if tonumber(lv) < LAYOUT then return nil end
local r = {task = ARGV[2], ask = ask or '', own = '', fen = 0, vf = tonumber(vf), sx = tonumber(sx), mark = 0, aged = 0}
read_marks(r)
if r.vf <= r.mark or NOW >= r.sx then return nil end
local name = ARGV[2] .. '\n' .. ARGV[3] .. '\n' .. ARGV[4]
if not asked_for then redis.pcall('HSET', KEYS[1], 'as', 1) end
count(name, 'hit', 1)
count(name, cost and 'avoided_micro_usd' or 'avoided_unknown', tonumber(cost or 1))
return {job, data, meta or '', r.vf, tonumber(vt), NOW - vt, r.sx - NOW, tonumber(cost or -1)}
