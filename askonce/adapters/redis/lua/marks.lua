-- Marks of this bucket: one hash, which is absent while there are none. A field is a scope and names, one a line. It
-- holds three numbers: answers whose run began by the first are removed, those by the second are never fresh (both
-- microseconds), and no such answer is kept any more at the third (milliseconds). `until` is the latest of these, and
-- `latest` the time of the last mark: no mark says anything of a run that began later.
local function latest_mark() return tonumber(redis.call('HGET', SLOT .. 'marks', 'latest') or 0) end

-- Set what marks say of the record's answer, and of the run that has its lease. An answer that a mark made old was
-- fresh until then.
local function read_marks(r)
  local latest = latest_mark()
  r.latest = latest
  if (r.vf == 0 or r.vf > latest) and (r.own == '' and r.ref == '' or (r.began or r.fen) > latest) then return end
  local tenant, _, version, _, _, _, _, tags = brought(asked(r).tail)
  local names = {'all', 'task\n' .. r.task, 'tenant\n' .. tenant, 'version\n' .. r.task .. '\n' .. version}
  for tag in string.gmatch(tags, '[^\n]+') do names[#names + 1] = 'tag\n' .. tag end
  for _, mark in ipairs(redis.call('HMGET', SLOT .. 'marks', unpack(names))) do
    if mark then
      local removed, aged = string.match(mark, '^(%d+) (%d+) ')
      r.mark, r.aged = math.max(r.mark, tonumber(removed)), math.max(r.aged, tonumber(aged))
    end
  end
  if r.vf <= r.aged then r.sx = math.min(r.sx, math.floor(r.aged / 1000)) end
end

-- Note until when the answers of this bucket are kept, an hour ahead: so few of them write it. A mark lasts as long, and
-- so does their index. Return that time.
local function note_kept(r)
  local known = tonumber(redis.call('HGET', SLOT .. 'answers', 'until') or 0)
  if r.hx <= known then return known end
  redis.call('HSET', SLOT .. 'answers', 'until', r.hx + TOMBSTONE_KEPT)
  redis.call('PEXPIREAT', SLOT .. 'answers', r.hx + TOMBSTONE_KEPT)
  return r.hx + TOMBSTONE_KEPT
end

-- Whether the run that has the lease began before a mark that removes: its answer would be as good as none.
local function is_void(r) return r.fl == 'running' and r.fen <= r.mark end

-- The fence of a run that begins now. No mark is about it, also where one was made while the clock was ahead.
local function next_fence(r) return math.max(r.fen + 1, NOW_US, r.latest + 1) end
