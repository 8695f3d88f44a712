-- counts: count for many jobs. Only the sums over all buckets are read, so each is written once, into one of them.
local counted = {}
local function count(name, what, amount)
  local of = counted[name] or {}
  counted[name], of[what] = of, (of[what] or 0) + amount
end
