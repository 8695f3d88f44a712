-- today: the day of this bucket's server.
-- KEYS tally           ARGV (none)
-- returns a number, counted from 1970 in UTC
return math.floor(NOW / 86400000)
