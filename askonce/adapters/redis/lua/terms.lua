-- terms: what all jobs of one caller have in common. It is read once for a group.
local task, tail, chosen, run = ARGV[3], ARGV[12], ARGV[13], ARGV[14]
local force, retry = ARGV[8] == '1', ARGV[8] == '2'
local max_age, expires, countdown = tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
local tenant, model = brought(tail)
local name = task .. '\n' .. tenant .. '\n' .. model

