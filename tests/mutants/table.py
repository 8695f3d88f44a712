"""Guards of the code, each with what it looks like when broken and a test that notices."""

from tests.mutants.decisions import OF_DECISIONS
from tests.mutants.mutant import Mutant

LUA = "askonce/adapters/redis/lua/"
MEMORY = "askonce/adapters/memory/store.py"
MEMORY_RECORD = "askonce/adapters/memory/record.py"
RECOVERY = "tests/contract/test_store_recovery.py::"
WRITES = "tests/contract/test_store_writes.py::"


def _of_script(name, verb, sound, broken, killed_by, variant=""):
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
OF_SCRIPTS = (
    _of_script(
        "reap forgets the lost run",
        "reap",
        "if r.fl == 'running' then note(r, 'worker_lost') end",
        "",
        "tests/contract/test_store_dead.py::test_history_shows_killed_workers",
    ),
    _of_script(
        "commit forgets who is in quarantine",
        "record",
        "if r.quarantined then",
        "if false then",
        "tests/contract/test_store_dead.py::test_quarantine_is_listed_until_its_time_is_over",
    ),
    _of_script(
        "complete forgets the owner",
        "complete",
        "if r.own ~= ARGV[1] then return 'fenced' end",
        "",
        f"{WRITES}test_write_after_a_takeover_is_fenced_and_changes_nothing[complete]",
        "the answer of any owner is stored",
    ),
    _of_script(
        "start forgets the job",
        "start",
        "if r.job ~= job then",
        "if false then",
        "tests/contract/test_store.py::test_only_the_job_that_is_admitted_may_start",
    ),
    _of_script(
        "start forgets the lease",
        "start",
        "if NOW < r.dl then return reply('busy', r) end",
        "",
        "tests/contract/test_store.py::test_copy_of_a_message_finds_the_job_busy_or_done",
    ),
    _of_script(
        "start forgets the rest",
        "start",
        "if NOW < r.nx then return reply('backoff', r) end",
        "",
        "tests/contract/test_store_failures.py::test_transient_failure_rests_and_is_tried_again",
    ),
    _of_script(
        "admit forgets the deadline",
        "admit",
        "if NOW < r.dl then return reply('attached', r) end",
        "",
        "tests/contract/test_store_failures.py::test_transient_failure_leaves_the_old_answer_and_attaches",
    ),
    _of_script(
        "admit never sends again",
        "admit",
        "if NOW < r.dl then",
        "if true then",
        f"{RECOVERY}test_lost_message_is_sent_again_under_the_same_job",
    ),
    _of_script(
        "admit is late by a moment",
        "admit",
        "if NOW < r.dl then",
        "if NOW <= r.dl then",
        f"{RECOVERY}test_claim_is_dead_exactly_at_its_deadline",
    ),
    _of_script(
        "fail forgets the owner",
        "fail",
        "if r.own ~= owner or r.fl ~= 'running'",
        "if r.fl ~= 'running'",
        f"{WRITES}test_write_after_a_takeover_is_fenced_and_changes_nothing[fail]",
        "a failure ends the lease of any owner",
    ),
    _of_script(
        "renew forgets the owner",
        "renew",
        "r.own ~= ARGV[1] or r.fl",
        "r.fl",
        f"{WRITES}test_write_by_another_owner_is_fenced_and_changes_nothing[renew]",
    ),
    _of_script(
        "release forgets the owner",
        "release",
        "r.own ~= ARGV[1] or r.fl",
        "r.fl",
        f"{WRITES}test_write_by_another_owner_is_fenced_and_changes_nothing[release]",
    ),
    _of_script(
        "invalidate leaves the owner",
        "invalidate",
        "'ref', 'own', 'fp'",
        "'ref', 'fp'",
        f"{WRITES}test_invalidated_run_has_no_owner_any_more",
    ),
    _of_script(
        "reap forgets the attempts",
        "reap",
        "elseif r.fl == 'running' and r.att >= r.ma then",
        "elseif false then",
        f"{RECOVERY}test_reaper_quarantines_a_job_that_kills_its_workers",
    ),
    _of_script(
        "fence stands still",
        "start",
        "fen = math.max(r.fen + 1, NOW_US)",
        "fen = NOW_US",
        f"{WRITES}test_fence_rises_with_every_run_when_the_clock_steps_back",
    ),
    _of_script(
        "a failure for now forgets the reference",
        "fail",
        "dl = NOW + after, rep = 0})",
        "dl = NOW + after, rep = 0, ref = ''})",
        "tests/contract/test_store_references.py::test_checkpoint_outlives_a_transient_failure",
    ),
    _of_script(
        "commit forgets the index",
        "record",
        "redis.call('ZADD', index, r.dl, member)",
        "",
        f"{RECOVERY}test_each_reaper_gets_a_lost_job_once",
    ),
)

OTHERS = (
    Mutant(
        "a dead lease is read, then overwritten",
        "askonce/adapters/redis/store.py",
        '        outcome, record = read(self._scripts.run("start",',
        "        seen = self.read([job.key])[0]\n"
        '        if seen.flight == "running" and seen.deadline_in <= 0:\n'
        # Long enough for others to read it too.
        '            __import__("time").sleep(0.05)\n'
        "            name = self._scripts.record_keys(job.key)[0]\n"
        '            self._link.client_of(name).hset(name, "dl", 0)\n'
        '        outcome, record = read(self._scripts.run("start",',
        f"{RECOVERY}test_one_of_many_workers_takes_over_a_lease_that_ran_out[valkey]",
        "a lease that ran out is read, then overwritten",
    ),
    Mutant(
        "reaper does not ask",
        "askonce/reaper.py",
        "lost = self._store.reap(buckets, _LIMIT)",
        "lost: list[Lost] = []",
        "tests/unit/test_reaper.py::test_lost_message_is_sent_again_with_all_it_needs",
        "no reaper looks for lost jobs",
    ),
    _of_script(
        "only a lease has a deadline",
        "record",
        "redis.call('ZADD', index, r.dl, member)",
        "if r.fl == 'running' then redis.call('ZADD', index, r.dl, member) end",
        f"{RECOVERY}test_each_reaper_gets_a_lost_job_once",
        "a message has no deadline",
    ),
    _of_script(
        "start never asks for the job",
        "start",
        "if r.job ~= job then",
        "if r.fl ~= 'running' and not is_fresh(r) then return grant() end\nif r.job ~= job then",
        "tests/contract/test_store.py::test_only_the_job_that_is_admitted_may_start",
        "any message may start",
    ),
    _of_script(
        "start refuses the last job only",
        "start",
        "return reply(is_fresh(r) and 'done' or 'superseded', r)\nend",
        "if is_fresh(r) then return reply('done', r) end\n"
        "  if r.fl == 'running' and NOW < r.dl then return reply('busy', r) end\n"
        "  return grant()\nend",
        "tests/contract/test_store.py::test_only_the_job_that_is_admitted_may_start",
        "any message may start but the last job's",
    ),
    _of_script(
        "complete makes a record anew",
        "complete",
        "if not r.present then return 'absent' end",
        "if not r.present then set(r, {own = ARGV[1], fl = 'running', fen = NOW_US}) end",
        f"{WRITES}test_write_to_a_lost_record_is_refused_and_leaves_no_trace[complete]",
        "a late answer is stored where the record is gone",
    ),
    Mutant(
        "message of a lost record is dropped",
        "askonce/decide.py",
        "        store.admit(Claim(job, Terms.of(spec)))\n",
        "",
        "tests/contract/test_decisions.py::test_message_of_a_lost_record_admits_its_job_again[memory]",
    ),
    Mutant(
        "reference forgets the owner",
        MEMORY,
        "record.owner == lease.owner and record.flight in flights",
        "record.flight in flights",
        "tests/model/test_replay.py::test_model_and_store_agree_on_every_walk",
    ),
    Mutant(
        "reference fences who is sent again",
        MEMORY_RECORD,
        'self.flight, self.not_before, self.resent = "queued", 0.0, self.resent + 1',
        'self.flight, self.owner, self.resent = "queued", "", self.resent + 1',
        "tests/model/test_replay.py::test_model_and_store_agree_on_every_walk",
    ),
)

MUTANTS = (*OF_SCRIPTS, *OTHERS, *OF_DECISIONS)
