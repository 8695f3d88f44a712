"""Guards of what a slot asks for, and of what that may cost."""

from tests.mutants.mutant import Mutant
from tests.mutants.scripts import of_script

RUNNING, CEILING, ASKING = (f"askonce/schedule/{name}.py" for name in ("running", "ceiling", "asking"))
STORES = "tests/contract/test_schedules.py::"
BOUNDS = "tests/unit/schedule/test_slot_ceiling.py::"
PACE, FILE = "tests/unit/schedule/test_slot_pace.py::", "tests/unit/schedule/test_slot_of_a_file.py::"
LETTERS = "tests/unit/schedule/test_slot_of_dead_letters.py::"

OF_SLOTS = (
    Mutant(
        "a dead letter pays again for what its new version has answered",
        "askonce/replay.py",
        "force=key == job.key,",
        "force=True,",
        f"{LETTERS}test_letter_whose_new_key_has_an_answer_is_not_paid_again",
    ),
    Mutant(
        "a dead letter stays although its new key is in flight",
        "askonce/replay.py",
        "    if key == job.key:\n        return done",
        "    if key == job.key or not isinstance(done.outcome, Admitted):\n        return done",
        f"{LETTERS}test_letter_whose_new_key_is_in_flight_is_forgotten_and_not_paid_again",
    ),
    Mutant(
        "a dead letter of a killed worker stays",
        ASKING,
        'return "" if letter in (None, key) else forget(self._site, letter)',
        'return ""',
        f"{LETTERS}test_letter_of_a_killed_worker_is_paid_once_under_its_new_key",
    ),
    of_script(
        "a slot that was forced is as any other",
        "schedule_decide",
        "    if paused then redis.call('HSET', key, 'forced', 1) end\n",
        "",
        f"{STORES}test_slot_is_forced_from_its_begin_until_its_end",
    ),
    of_script(
        "a pause does not mean the slot that was forced before",
        "schedule_pause",
        "  redis.call('HDEL', key, 'forced')",
        "  ",
        f"{STORES}test_pause_after_a_forced_begin_is_meant_for_that_slot_too",
    ),
    of_script(
        "a slot that was forced is so after its end",
        "schedule_ended",
        "'open', 'since', 'facts', 'forced')",
        "'open', 'since', 'facts')",
        f"{STORES}test_slot_is_forced_from_its_begin_until_its_end",
    ),
    Mutant(
        "a slot that was forced rests in the pause",
        RUNNING,
        "is_forced = self._state.forced and",
        "is_forced = False and",
        f"{BOUNDS}test_slot_that_is_forced_runs_although_its_entry_is_paused",
    ),
    Mutant(
        "a slot runs in a pause beside one that was forced",
        RUNNING,
        "self._state.forced and self._state.open == self._slot",
        "self._state.forced",
        f"{BOUNDS}test_slot_rests_while_another_one_of_its_entry_is_forced",
    ),
    Mutant(
        "a job of a killed worker costs nothing where its query is changed",
        RUNNING,
        "        self._recall_planned()\n        self._position.go_on_with(self._entry.query)\n",
        "        self._position.go_on_with(self._entry.query)\n"
        "        self._position.planned = self._position.mark and self._position.planned\n"
        "        self._recall_planned()\n",
        f"{BOUNDS}test_job_of_a_killed_worker_costs_although_its_query_is_changed",
    ),
    Mutant(
        "an entry with one dear job never goes on",
        CEILING,
        "return left > 0 and not held",
        "return False",
        f"{BOUNDS}test_entry_whose_job_costs_more_than_its_ceiling_goes_on_with_one_at_a_time",
    ),
    Mutant(
        "several jobs follow one that was too dear",
        CEILING,
        "return left > 0 and not held",
        "return left > 0",
        f"{BOUNDS}test_entry_whose_job_costs_more_than_its_ceiling_goes_on_with_one_at_a_time",
    ),
    Mutant(
        "what costs nothing waits as a job does",
        RUNNING,
        "if (has_turn and self._has_room()) or self._is_answered(item):",
        "if has_turn and self._has_room():",
        f"{PACE}test_what_costs_nothing_waits_neither_for_a_turn_nor_for_room",
    ),
    Mutant(
        "the answer to another payload is taken for a hit",
        ASKING,
        'if (tried or record.fingerprint) not in ("", job.fingerprint):',
        "if False:",
        f"{PACE}test_row_whose_key_has_an_answer_to_another_payload_waits",
    ),
    Mutant(
        "a dry run counts equal rows as many calls",
        ASKING,
        "if tried == job.fingerprint",
        "if False",
        f"{FILE}test_dry_run_counts_a_row_that_comes_again_as_the_slot_would",
    ),
)
