-- new: the second part of admit, for a key without a record in a bucket without pauses. There is nothing to look at, to
-- forget or to mark, so the record is written at once, as the rest of admit would write it.
if not lv and countdown == 0 and redis.call('EXISTS', SLOT .. 'ctl') == 0 then
  local over, xe = NOW + ARGV[5], 0
  if expires > 0 then
    xe = NOW + expires
    over = math.min(over, xe)
  end
  redis.call('ZADD', KEYS[2], over, string.sub(KEYS[1], -64))
  redis.call('HSET', KEYS[1], 'lv', LAYOUT, 'task', task, 'fp', fingerprint, 'fl', 'queued', 'job', job, 'dl', over,
    'env', ARGV[4], 'ask', ask_text(ARGV[6], ARGV[5], NOW, xe, tail), 'xp', over + FLIGHT_KEPT,
    unpack(run == '' and EMPTY or {'run', run}))
  redis.call('PEXPIREAT', KEYS[1], over + FLIGHT_KEPT)
  count(name, 'admitted', 1)
  return {flight_part('admitted', {fl = 'queued', job = job, fen = 0, dl = over, att = 0, rep = 0, nx = 0, ref = ''})}
end
