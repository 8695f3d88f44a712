-- publish_many: publish for the jobs of one caller and queue, one after the other. A job pays for no text of the
-- script, which is most of what a single one costs.
-- KEYS queue, then each job's record   ARGV as admit, where job, fingerprint and payload are empty; the task's message
--                                      with places to fill, and a delivery tag; then each job's id, fingerprint,
--                                      payload, and what monitors show of it
-- returns a list of replies of admit
--
-- KEYS and ARGV are those of one job here, as publish has them: many.lua has hidden the others.
local parts, places = cut(ALL_ARGV[17])
local values, replies, messages = shared_values(), {}, {}
local function admit_all()
  for i = 2, #ALL_KEYS do
    local record, job = ALL_KEYS[i], 11 + 4 * i
    SLOT = slot_of(record)
    KEYS[1], KEYS[2] = record, SLOT .. 'idx'
    ARGV[1], ARGV[2], ARGV[4] = ALL_ARGV[job], ALL_ARGV[job + 1], ALL_ARGV[job + 2]
    local admitted, repeated = admit()
    if admitted[1][1] == 'admitted' and not repeated then
      local key, tag, shown = string.sub(record, -64), ALL_ARGV[18] .. i, ALL_ARGV[job + 3]
      messages[#messages + 1] = filled(parts, places, values, key, tag, shown)
    end
    replies[i - 1] = admitted
  end
end
-- An error ends the script. The jobs before it get their messages all the same, and the same claims again change
-- nothing.
local ok, failed = pcall(admit_all)
if #messages > 0 then redis.call('LPUSH', ALL_KEYS[1], unpack(messages)) end
for of, amounts in pairs(sums) do
  for what, amount in pairs(amounts) do add('pcall', of, what, amount) end
end
if not ok then error(failed, 0) end
return replies
