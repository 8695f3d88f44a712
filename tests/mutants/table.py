"""Guards of the code, each with what it looks like when broken and a test that notices."""

from tests.mutants.answers import OF_ANSWERS
from tests.mutants.bill import OF_BILLS
from tests.mutants.calls import OF_CALLS
from tests.mutants.commands import OF_COMMANDS
from tests.mutants.decisions import OF_DECISIONS
from tests.mutants.edges import OF_EDGES
from tests.mutants.functions import OF_FUNCTIONS
from tests.mutants.groups import OF_GROUPS
from tests.mutants.inputs import OF_INPUTS
from tests.mutants.invalidation import OF_INVALIDATION
from tests.mutants.judged import OF_JUDGED
from tests.mutants.life import OF_LIFE
from tests.mutants.logs import OF_LOGS
from tests.mutants.meetings import OF_MEETINGS
from tests.mutants.metrics import OF_METRICS
from tests.mutants.monitors import OF_MONITORS
from tests.mutants.mutant import Mutant
from tests.mutants.pace import OF_PACE
from tests.mutants.parking import OF_PARKING
from tests.mutants.refusals import OF_REFUSALS
from tests.mutants.resumed import OF_RESUMED
from tests.mutants.rows_of_commands import OF_ROWS_OF_COMMANDS
from tests.mutants.running import OF_RUNNING
from tests.mutants.scheduling import OF_SCHEDULING
from tests.mutants.scripts import MET_RARELY, MET_SOON, RECOVERY, WRITES, of_script
from tests.mutants.shown import OF_SHOWN
from tests.mutants.slots import OF_SLOTS
from tests.mutants.spent import OF_SPENT
from tests.mutants.stopping import OF_STOPPING
from tests.mutants.waits import OF_WAITS

MEMORY_RECORD = "askonce/adapters/memory/record.py"

OTHERS = (
    Mutant(
        "a dead lease is read, then overwritten",
        "askonce/adapters/redis/store.py",
        '        outcome, record = read(job.key, self._scripts.run("start",',
        "        seen = self.read([job.key])[0]\n"
        '        if seen.flight == "running" and seen.deadline_in <= 0:\n'
        # Long enough for others to read it too.
        '            __import__("time").sleep(0.05)\n'
        "            name = self._scripts.record_keys(job.key)[0]\n"
        '            self._link.client_of(name).hset(name, "dl", 0)\n'
        '        outcome, record = read(job.key, self._scripts.run("start",',
        f"{RECOVERY}test_one_of_many_workers_takes_over_a_lease_that_ran_out[valkey]",
        "a lease that ran out is read, then overwritten",
    ),
    Mutant(
        "reaper does not ask",
        "askonce/reaper.py",
        "looked_at = self._store.reap(some, known)",
        "looked_at = list[Lost]()",
        "tests/unit/test_reaper.py::test_lost_message_is_sent_again_with_all_it_needs",
        "no reaper looks for lost jobs",
    ),
    of_script(
        "only a lease has a deadline",
        "record",
        "redis.call('ZADD', index, math.floor(look_at_expiry(r, r.look or math.max(r.dl, r.ho))), member)",
        "if r.fl == 'running' then redis.call('ZADD', index, r.dl, member) end",
        f"{RECOVERY}test_revival_ends_with_the_quarantine",
        "a message has no deadline",
    ),
    of_script(
        "start never asks for the job",
        "start",
        "if r.job ~= job then",
        "if r.fl ~= 'running' and not is_fresh(r) then return grant() end\nif r.job ~= job then",
        "tests/contract/test_store.py::test_only_the_job_that_is_admitted_may_start",
        "any message may start",
    ),
    of_script(
        "start refuses the last job only",
        "start",
        "return copy(is_fresh(r) and 'done' or 'superseded')\nend",
        "if is_fresh(r) then return reply('done', r) end\n"
        "  if r.fl == 'running' and NOW < r.dl then return reply('busy', r) end\n"
        "  return grant()\nend",
        "tests/contract/test_store.py::test_only_the_job_that_is_admitted_may_start",
        "any message may start but the last job's",
    ),
    of_script(
        "complete makes a record anew",
        "complete",
        "if not r.present then\n",
        "if not r.present then set(r, {own = owner, fl = 'running', fen = NOW_US}) end\nif false then\n",
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
        "askonce/adapters/memory/records.py",
        "record.owner == lease.owner and record.flight in flights",
        "record.flight in flights",
        "tests/model/test_replay.py::test_model_and_store_agree_on_every_walk",
    ),
    Mutant(
        "reference fences who is sent again",
        MEMORY_RECORD,
        "        self.flight, self.not_before, self.deadline, self.sent_at =",
        '        self.owner = ""\n        self.flight, self.not_before, self.deadline, self.sent_at =',
        "tests/model/test_replay.py::test_model_and_store_agree_on_every_walk",
    ),
)

MUTANTS = (
    *MET_SOON,
    *MET_RARELY,
    *OTHERS,
    *OF_DECISIONS,
    *OF_EDGES,
    *OF_ANSWERS,
    *OF_CALLS,
    *OF_REFUSALS,
    *OF_MEETINGS,
    *OF_MONITORS,
    *OF_SHOWN,
    *OF_SLOTS,
    *OF_COMMANDS,
    *OF_ROWS_OF_COMMANDS,
    *OF_RESUMED,
    *OF_RUNNING,
    *OF_SPENT,
    *OF_BILLS,
    *OF_STOPPING,
    *OF_PACE,
    *OF_PARKING,
    *OF_INVALIDATION,
    *OF_JUDGED,
    *OF_LIFE,
    *OF_LOGS,
    *OF_INPUTS,
    *OF_GROUPS,
    *OF_METRICS,
    *OF_WAITS,
    *OF_SCHEDULING,
    *OF_FUNCTIONS,
)
