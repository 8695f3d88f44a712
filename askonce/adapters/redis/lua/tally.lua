-- Counters of this bucket: one hash; a field is the day (UTC, counted from 1970), task, tenant, model and what is
-- counted, one a line. The script that makes a transition counts it, so nothing is counted twice and no round trip is
-- added. Days that are over are folded into one hash for all buckets (fold.lua).
-- Tenants come from callers: beyond *most* names in a hash, new ones have the tenant `other`. Task and model are the
-- application's, so what is counted of them stays exact: a start and its end are never of two tasks, and no sum falls.
local function add_within(most, run, hash, day, name, amount)
  local total = redis[run]('HINCRBY', hash, day .. name, amount)
  if total == amount and redis.call('HLEN', hash) > most then
    local shared = string.gsub(name, '^([^\n]*\n)[^\n]+', '%1other')
    redis.call('HDEL', hash, day .. name)
    redis.call('HINCRBY', hash, day .. shared, amount)
  end
end

local function add(run, name, what, amount)
  add_within(MAX_COUNTERS, run, SLOT .. 'tally', math.floor(NOW / 86400000) .. '\n', name .. '\n' .. what, amount)
end

-- A server that takes no writes still answers duplicates: they are not counted then.
local function count(name, what, amount) add('pcall', name, what, amount) end

local function name_of(r)
  local tenant, model = brought(asked(r).tail)
  return r.task .. '\n' .. tenant .. '\n' .. model
end

-- What runs do is counted for the task alone: histograms of every tenant would leave no room for other names.
local function count_run(r, what, amount) count(r.task .. '\n\n', what, amount) end

-- So many milliseconds, under the first of the bounds that they do not exceed.
local function count_time(r, what, milliseconds)
  local bound, least = 'inf', math.max(milliseconds, 0)
  for _, each in ipairs(BOUNDS) do
    if least <= each then
      bound = each
      break
    end
  end
  count_run(r, what .. ':' .. bound, 1)
  count_run(r, what .. '_ms', least)
end

-- The run that has the lease ends with an answer or a failure; its fence is the time of its start.
local function count_ended(r) count_time(r, 'run', NOW - math.floor(r.fen / 1000)) end

-- A run that has the lease is overtaken: whether its call was paid is unknown.
local function doubt(r)
  if r.fl ~= 'running' then return end
  count(name_of(r), 'in_doubt', 1)
  count_run(r, 'lost', 1)
end

-- *entry*: task, tenant and model, one a line; then names and amounts, such as "calls 1 micro_usd 1200".
local function book(entry)
  if entry == '' then return end
  local name, amounts = string.match(entry, '^([^\n]*\n[^\n]*\n[^\n]*)\n(.*)$')
  for what, amount in string.gmatch(amounts, '(%S+) (%d+)') do
    -- Money that cannot be counted is not recorded: the write fails, and is repeated later.
    add('call', name, what, tonumber(amount))
  end
end

-- Money that was paid without a place in the record: an owner that was overtaken (known), or a record that is gone.
-- The owner's token is kept for a while, since its write may be repeated.
local function book_late(owner, entry, known)
  if entry == '' then return end
  if redis.call('SET', SLOT .. 'booked:' .. owner, '1', 'NX', 'PX', TOMBSTONE_KEPT) then
    book(entry)
    if known then count(string.match(entry, '^([^\n]*\n[^\n]*\n[^\n]*)'), 'in_doubt', -1) end
  end
end
