"""Guards of the scripts, each with a contract test that notices."""

from tests.mutants.mutant import Mutant

LUA = "askonce/adapters/redis/lua/"
ROUTING = "tests/contract/test_store_routing.py::"
RECOVERY = "tests/contract/test_store_recovery.py::"
WRITES = "tests/contract/test_store_writes.py::"
GUARDS = "tests/contract/test_store_guards.py::"
RUNS = "tests/contract/test_store_runs_counted.py::"


def of_script(name, verb, sound, broken, killed_by, variant=""):
    return Mutant(
        name,
        f"{LUA}{verb}.lua",
        sound,
        broken,
        f"{killed_by.partition('[')[0]}[valkey{_rest(killed_by)}",
        variant,
    )


def _rest(killed_by):
    parameter = killed_by.partition("[")[2]
    return f"-{parameter}" if parameter else "]"


#: What the state machine in ``tests/contract/test_machine.py`` must notice too.
#: The state machine must notice these too.
MET_SOON = (
    of_script(
        "reap forgets the lost run",
        "reap",
        "    note(r, 'worker_lost')\n",
        "",
        "tests/contract/test_store_dead.py::test_history_shows_killed_workers",
    ),
    of_script(
        "commit forgets who is in quarantine",
        "record",
        "if r.quarantined then",
        "if false then",
        "tests/contract/test_store_dead.py::test_quarantine_is_listed_until_its_time_is_over",
    ),
    of_script(
        "complete forgets the owner",
        "complete",
        "if r.own ~= owner then",
        "if false then",
        f"{WRITES}test_write_after_a_takeover_is_fenced_and_changes_nothing[complete]",
        "the answer of any owner is stored",
    ),
    of_script(
        "resent counts a message that was delivered",
        "resent",
        "if r.ho == 0 then",
        "if false then",
        "tests/contract/test_store_queues.py::"
        "test_message_that_is_counted_after_its_run_holds_up_no_later_one[fail]",
    ),
    of_script(
        "start forgets the job",
        "start",
        "if r.job ~= job then",
        "if false then",
        "tests/contract/test_store.py::test_only_the_job_that_is_admitted_may_start",
    ),
    of_script(
        "start forgets the lease",
        "start",
        "if NOW < r.dl then return copy('busy') end",
        "",
        "tests/contract/test_store.py::test_copy_of_a_message_finds_the_job_busy_or_done",
    ),
    of_script(
        "start forgets the rest",
        "start",
        "  if NOW < r.nx then return reply(r.paused and 'paused' or 'backoff', r) end\n",
        "",
        "tests/contract/test_store_failures.py::test_transient_failure_rests_and_is_tried_again",
    ),
    of_script(
        "admit forgets the deadline",
        "record",
        "if NOW < r.dl or NOW < r.ho then return false end",
        "if NOW < r.ho then return false end",
        "tests/contract/test_store_failures.py::test_transient_failure_leaves_the_old_answer_and_attaches",
    ),
    of_script(
        "admit is late by a moment",
        "record",
        "if NOW < r.dl or",
        "if NOW <= r.dl or",
        f"{RECOVERY}test_claim_is_dead_exactly_at_its_deadline",
    ),
    of_script(
        "renew forgets the owner",
        "renew",
        "r.own ~= ARGV[1] or r.fl",
        "r.fl",
        f"{WRITES}test_write_by_another_owner_is_fenced_and_changes_nothing[renew]",
    ),
    of_script(
        "park forgets the owner",
        "park",
        "r.own ~= ARGV[1] or r.fl",
        "r.fl",
        f"{WRITES}test_write_by_another_owner_is_fenced_and_changes_nothing[park]",
    ),
    of_script(
        "invalidate leaves the owner",
        "ends",
        "drop(r, 'own', 'fp'",
        "drop(r, 'fp'",
        f"{WRITES}test_invalidated_run_has_no_owner_any_more",
    ),
    of_script(
        "reap forgets the attempts",
        "reap",
        "if r.fl == 'running' and r.att >= asked(r).ma then",
        "if false then",
        f"{RECOVERY}test_reaper_quarantines_a_job_that_kills_its_workers",
    ),
    of_script(
        "fence stands still",
        "marks",
        "math.max(r.fen + 1, NOW_US, r.latest + 1)",
        "math.max(NOW_US, r.latest + 1)",
        f"{WRITES}test_fence_rises_with_every_run_when_the_clock_steps_back",
    ),
    of_script(
        "commit forgets the index",
        "record",
        "redis.call('ZADD', index, math.floor(look_at_expiry(r, r.look or math.max(r.dl, r.ho))), member)",
        "",
        f"{RECOVERY}test_revival_ends_with_the_quarantine",
    ),
    of_script(
        "a new record has no deadline",
        "new",
        "redis.call('ZADD', KEYS[2], over, string.sub(KEYS[1], -64))",
        "",
        f"{RECOVERY}test_each_reaper_gets_a_lost_job_once",
    ),
    of_script(
        "the reaper ignores progress",
        "record",
        "return math.max(tonumber(delivered[1] or 0), tonumber(delivered[2] or 0)) > at + PROGRESS_SLACK",
        "return true",
        f"{GUARDS}test_job_that_waits_in_its_queue_is_not_sent_again",
        "the reaper ignores progress",
    ),
    of_script(
        "no queue reports what it delivered",
        "reap",
        "    redis.call('HSET', SLOT .. 'progress', field, time)\n",
        "",
        f"{GUARDS}test_job_that_waits_in_its_queue_is_not_sent_again",
        "no queue reports what it delivered",
    ),
    of_script(
        "the resend is counted before it is sent",
        "record",
        "local function hand_out(r) set(r, {",
        "local function hand_out(r) set(r, {rep = r.rep + 1, ",
        f"{GUARDS}test_hand_out_alone_never_uses_up_the_resends",
    ),
    of_script(
        "a hand-out keeps no other away",
        "record",
        "if NOW < r.dl or NOW < r.ho then return false end",
        "if NOW < r.dl then return false end",
        f"{RECOVERY}test_one_of_many_callers_of_a_dead_job_sends_it_again",
    ),
    of_script(
        "park uses an attempt",
        "park",
        "set(r, {att = r.att - 1})\n",
        "",
        f"{GUARDS}test_parked_run_uses_no_attempt",
    ),
    of_script(
        "cancel forgets the other runs",
        "cancel",
        "if ARGV[2] == '0' and (",
        "if false and (",
        "tests/contract/test_store_cancelling.py::test_job_resent_by_another_run_is_shared",
    ),
    of_script(
        "a resend is counted twice",
        "resent",
        "if sent_at(r) == tonumber(ARGV[2]) then return 'ok' end\n",
        "",
        "tests/contract/test_store_queues.py::test_message_that_is_sent_again_is_counted_once",
    ),
    of_script(
        "cancel ends a running call",
        "cancel",
        "local running = r.fl == 'running'",
        "local running = false",
        f"{GUARDS}test_cancel_leaves_a_running_call_alone",
        "cancel ends a running call",
    ),
    of_script(
        "a paused job starts",
        "start",
        "  if r.paused then",
        "  if false then",
        f"{GUARDS}test_paused_job_starts_after_the_pause_only",
        "a paused job starts",
    ),
    of_script(
        "expiry is ignored at start",
        "start",
        "  if is_expired(r) then return end_as('expired') end\n",
        "",
        f"{GUARDS}test_job_that_waited_too_long_does_not_start",
    ),
    of_script(
        "a booking is dropped",
        "complete",
        "\nbook(entry)\n",
        "\n",
        f"{GUARDS}test_answer_books_what_its_run_paid",
    ),
    of_script(
        "a fenced owner's money is booked twice",
        "tally",
        "'1', 'NX', 'PX', TOMBSTONE_KEPT)",
        "'1', 'PX', TOMBSTONE_KEPT)",
        f"{GUARDS}test_fenced_answer_is_booked_once_however_often_it_is_sent",
    ),
    of_script(
        "a late copy starts anew",
        "start",
        "admitted_at > 0 and NOW - admitted_at >= tonumber(ARGV[6]) and 'ended' or 'absent'",
        "'absent'",
        f"{GUARDS}test_late_copy_without_a_record_starts_nothing",
        "a late copy starts anew",
    ),
)
#: What chance meets after minutes only.
MET_RARELY = (
    of_script(
        "fail forgets how many attempts it allows",
        "fail",
        "if most > 0 then",
        "if false then",
        "tests/contract/test_store_failures.py::test_failure_may_say_how_often_its_job_is_attempted",
    ),
    of_script(
        "admit never sends again",
        "admit",
        "if is_lost(r) and not r.paused then",
        "if false then",
        f"{RECOVERY}test_lost_message_is_sent_again_under_the_same_job",
    ),
    of_script(
        "fail forgets the owner",
        "fail",
        "if r.own ~= owner or r.fl ~= 'running'",
        "if r.fl ~= 'running'",
        f"{WRITES}test_write_after_a_takeover_is_fenced_and_changes_nothing[fail]",
        "a failure ends the lease of any owner",
    ),
    of_script(
        "a failure for now forgets the reference",
        "fail",
        "dl = NOW + after, at = '0'})",
        "dl = NOW + after, at = '0', ref = ''})",
        "tests/contract/test_store_references.py::test_checkpoint_outlives_a_transient_failure",
    ),
    of_script(
        "the watermark ignores priority",
        "record",
        "queue .. '\\n' .. priority, queue .. '\\n*')",
        "queue .. '\\n0', queue .. '\\n*')",
        f"{GUARDS}test_progress_of_one_priority_proves_nothing_of_another",
    ),
    of_script(
        "a failure's booking is dropped",
        "fail",
        "\nbook(ARGV[9])\n",
        "\n",
        "tests/contract/test_store_tally.py::test_what_a_run_paid_is_counted_once[permanent failure]",
    ),
    of_script(
        "money of an answer that is gone is booked again",
        "complete",
        "r.xp < NOW + TOMBSTONE_KEPT",
        "false",
        "tests/contract/test_store_money.py"
        "::test_answer_repeated_within_the_hour_is_counted_once_however_short_it_is_kept[anew-10.0]",
    ),
    of_script(
        "a refused duplicate changes the job",
        "attach",
        "if ARGV[15] ~= '1' then",
        "if true then",
        f"{ROUTING}test_caller_that_rejects_duplicates_changes_nothing[True-sooner start]",
    ),
    of_script(
        "a time to come is believed",
        "reap",
        "if time <= latest and (known < time or known > latest) then",
        "if known < time then",
        "tests/contract/test_store_queues.py::test_progress_in_the_future_proves_nothing_and_is_forgotten",
    ),
    of_script(
        "a mark spares old answers",
        "record",
        "local function has_value(r) return NOW < r.hx and r.vf > r.mark end",
        "local function has_value(r) return NOW < r.hx end",
        f"{GUARDS}test_answer_before_a_mark_is_no_hit",
    ),
    of_script(
        "each start of a job is a wait",
        "start",
        "if r.fen < admitted_at * 1000 then",
        "if true then",
        f"{RUNS}test_job_waits_once_however_often_it_starts",
    ),
    of_script(
        "a countdown is waited for",
        "start",
        "local wanted_at = r.pk == '' and math.max(r.nx, admitted_at) or admitted_at",
        "local wanted_at = admitted_at",
        f"{RUNS}test_wait_begins_when_the_caller_wanted_the_start",
    ),
    of_script(
        "a pause is a countdown",
        "start",
        "r.pk == '' and math.max(r.nx, admitted_at) or admitted_at",
        "math.max(r.nx, admitted_at)",
        f"{RUNS}test_pause_that_a_worker_met_is_waited_for_since_the_enqueue[0.0-put back]",
    ),
    of_script(
        "a fenced answer is not counted",
        "complete",
        "  book_late(owner, entry, true)\n  count_run(r, 'fenced', 1)\n",
        "  book_late(owner, entry, true)\n",
        f"{RUNS}test_write_without_a_lease_is_counted_as_fenced[complete]",
    ),
    of_script(
        "an invalidated job has no task",
        "ends",
        "'att', 'rep', 'rt'",
        "'att', 'task', 'rep', 'rt'",
        f"{RUNS}test_write_of_an_invalidated_job_is_fenced_under_its_task[complete]",
    ),
    of_script(
        "a lost lease is still held",
        "tally",
        "  count_run(r, 'lost', 1)\n",
        "",
        f"{RUNS}test_leases_that_are_held_follow_from_the_counters[a lost worker]",
    ),
    of_script(
        "the end of a run in a full bucket is of another task",
        "tally",
        "'^([^\\n]*\\n)[^\\n]+', '%1other')",
        "'^[^\\n]*\\n[^\\n]*', 'other\\n')",
        f"{RUNS}test_leases_that_are_held_follow_from_the_counters_of_a_full_bucket[an answer]",
    ),
    of_script(
        "a parked job is still held",
        "park",
        "count_run(r, 'parked', 1)\n",
        "",
        f"{RUNS}test_leases_that_are_held_follow_from_the_counters[parking]",
    ),
)
