-- The reply of the verbs that return the record: {flight, value, failure, more}, in the parts of `reply.py`. A part is
-- empty where there is none, and {flight} alone is short for one without the others. A bare reply holds the outcome
-- only.
-- No reply holds the owner: its token authorises writes.
local EMPTY = {}

local function reply(outcome, r, bare)
  if bare or not r.present then return {outcome} end
  local value, failure, more = EMPTY, EMPTY, EMPTY
  if has_value(r) then value = value_part(nil, r, redis.call('HMGET', r.key, 'val', 'vm')) end
  if r.ek ~= '' and NOW < r.ex then
    failure = failure_part(nil, r, redis.call('HMGET', r.key, 'sp', 'ed', 'em'))
  end
  local goes_on = outcome == 'granted' and r.att > 1
  if r.pk ~= '' or r.paused or r.ignored or outcome == 'resend' or goes_on then
    more = more_part(outcome, r, redis.call('HMGET', r.key, 'run', 'sp'))
  end
  return {flight_part(outcome, r), value, failure, more}
end
