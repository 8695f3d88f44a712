-- What a second caller's options change: the longer expiry and the sooner start win, a higher priority sends one more
-- message; queue, headers and limits stay the job's, and `ignored` names what was not taken. A job that was cancelled
-- under way goes on: its new caller wants the answer.
-- Returns whether anything changed, and whether a message must be sent.
local function take(r, expires, countdown, tail, chosen, run)
  local a, ignored, changed, resend = asked(r), {}, false, false
  local ma, qd, ad, xe, own_tail = a.ma, a.qd, a.ad, a.xe, a.tail
  local _, _, _, queue, priority, limits, headers = brought(tail)
  local tenant, model, version, own_queue, own_priority, own_limits, own_headers, own_tags = brought(own_tail)
  local function refuse(name, differs)
    if differs and string.find(chosen, name, 1, true) then ignored[#ignored + 1] = name end
  end
  refuse('queue', queue ~= own_queue)
  refuse('limits', limits ~= own_limits)
  refuse('headers', headers ~= own_headers)

  if xe > 0 and (expires == 0 or NOW + expires > xe) then
    xe, changed = expires > 0 and NOW + expires or 0, true
  elseif expires > 0 and (xe == 0 or NOW + expires < xe) then
    ignored[#ignored + 1] = 'expires'
  end

  -- Only a start that the first caller delayed: a rest after a failure or for a provider is not the callers' to end.
  local delayed = r.fl == 'queued' and r.nx > NOW and r.att == 0 and r.pk == '' and r.ej ~= r.job
  if delayed and NOW + countdown < r.nx then
    set(r, {dl = NOW + countdown})
    if countdown > 0 then set(r, {nx = NOW + countdown}) else drop(r, 'nx') end
    resend = countdown == 0
    changed = true
  elseif countdown > 0 and not (delayed and NOW + countdown == r.nx) then
    ignored[#ignored + 1] = 'countdown'
  end

  local direction = string.match(chosen, 'priority([<>])')
  if direction and priority ~= own_priority then
    local new, old = tonumber(priority) or 0, tonumber(own_priority) or 0
    if (direction == '>' and new > old) or (direction == '<' and new < old) then
      own_priority, changed = priority, true
      resend = resend or (r.fl == 'queued' and sent_at(r) > 0)
    else
      ignored[#ignored + 1] = 'priority'
    end
  end

  if is_cancelled(r) then
    drop(r, 'ex')
    changed = true
  end
  local of = redis.call('HMGET', r.key, 'run', 'sh')
  if run ~= (of[1] or '') and not of[2] then
    set(r, {sh = 1})
    changed = true
  end
  if #ignored > 0 then r.ignored = table.concat(ignored, ' ') end
  if changed then
    write_ask(r, ma, qd, ad, xe,
      table.concat({tenant, model, version, own_queue, own_priority, own_limits, own_headers .. own_tags}, '\n'))
  end
  return changed, resend
end

-- Join a caller to the job in flight. One that rejects duplicates changes nothing. A lost job is handed to the caller.
local function attach(r, job, expires, countdown, tail, chosen, run, index, lost)
  local changed, resend = false, lost
  if ARGV[15] ~= '1' then
    local taken, starts = take(r, expires, countdown, tail, chosen, run)
    changed, resend = taken, starts or lost
  end
  if not changed and not resend then return end
  if resend then
    set(r, {rt = job})
    hand_out(r)
  end
  commit(r, index)
end
