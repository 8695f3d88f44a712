-- duplicate: the first part of admit, and all of it for its most frequent caller: an equal job is in flight, with
-- neither answer nor failure kept. Its reply needs half of the record's fields, and half of the time.
local job, fingerprint = ARGV[1], ARGV[2]
local lv, fp, fl, in_flight, dl, att, fen, rep, rt, nx, ref, hx, ex, pk, own_run, shared, ask = unpack(redis.call('HMGET', KEYS[1],
  'lv', 'fp', 'fl', 'job', 'dl', 'att', 'fen', 'rep', 'rt', 'nx', 'ref', 'hx', 'ex', 'pk', 'run', 'sh', 'ask'))
if fp == fingerprint and fl ~= 'idle' and in_flight ~= job and rt ~= job and not hx and not ex and not nx and not pk
    and tonumber(lv) == LAYOUT and NOW < tonumber(dl) and chosen == '' and expires == 0 and countdown == 0
    and string.find(ask or '', NEVER_EXPIRES) and (run == (own_run or '') or shared or ARGV[15] == '1')
    and redis.call('EXISTS', SLOT .. 'ctl') == 0 and (fl ~= 'running' or tonumber(fen) > latest_mark()) then
  count(name, 'attached', 1)
  return {flight_part('attached', {fl = fl, job = in_flight, fen = tonumber(fen or 0), dl = dl,
    att = tonumber(att or 0), rep = tonumber(rep or 0), nx = 0, ref = ref or ''})}
end
