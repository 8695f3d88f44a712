-- counts: count for many jobs. Only the sums over all buckets are read, so each is written once, into one of them.
local sums = {}
count = function(name, what, amount)
  local of = sums[name] or {}
  sums[name], of[what] = of, (of[what] or 0) + amount
end
