-- The server's time and what a test adds to it, in microseconds.
local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2] + tonumber(redis.call('GET', 'moved') or 0)
end
