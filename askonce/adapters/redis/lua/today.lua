-- today: the day of this bucket's server, counted from 1970 in UTC.
-- KEYS any key of the bucket
return math.floor(NOW / 86400000)
