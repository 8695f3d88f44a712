-- checkpoint: keep the provider's reference of the call under way, for the next worker of the job.
-- KEYS record, index   ARGV owner, reference      returns ok | fenced | absent
local r = load(KEYS[1])
if not r.present then return 'absent' end
if r.own ~= ARGV[1] or r.fl ~= 'running' then
  count_run(r, 'fenced', 1)
  return 'fenced'
end
set(r, {ref = ARGV[2]})
commit(r, KEYS[2])
return 'ok'
