"""Guards of what a slot runs: its position, its pace, its ceiling and its queries."""

from tests.mutants.mutant import Mutant
from tests.mutants.scripts import of_script

SLOTS = "askonce/schedule/"
TESTS = "tests/unit/schedule/"
FILE, CEILING = f"{TESTS}test_slot_of_a_file.py::", f"{TESTS}test_slot_ceiling.py::"
DEAD, STALE = f"{TESTS}test_slot_of_dead_letters.py::", f"{TESTS}test_slot_of_what_goes_stale.py::"

OF_RUNNING = (
    Mutant(
        "a step begins with the first row again",
        f"{SLOTS}running.py",
        "self._position.mark, self._position.planned = item.mark, None",
        "self._position.planned = None",
        f"{FILE}test_step_ends_in_time_and_the_next_one_goes_on_behind_it",
    ),
    Mutant(
        "a payload is another job each time that it is asked for",
        f"{SLOTS}asking.py",
        "JobId(drawn[:32])",
        'JobId(__import__("secrets").token_hex(16))',
        f"{FILE}test_slot_of_a_killed_worker_goes_on_and_each_row_is_called_once[{{}}-3-after]",
    ),
    Mutant(
        "what a killed worker was about to enqueue is forgotten",
        f"{SLOTS}running.py",
        "if is_first or self._ceiling is not None:",
        "if is_first:",
        f"{DEAD}test_cost_of_a_replay_is_counted_also_after_a_kill[2-after]",
    ),
    Mutant(
        "the job to come has no price",
        f"{SLOTS}ceiling.py",
        "(held + 1) * now.dearest <= left",
        "held * now.dearest <= left",
        f"{CEILING}test_entry_pauses_at_its_ceiling_and_a_person_gives_it_as_much_again",
    ),
    Mutant(
        "no job is a pilot",
        f"{SLOTS}ceiling.py",
        "return left > 0 and not flying",
        "return left > 0",
        f"{CEILING}test_first_job_is_a_pilot_and_so_many_follow_as_the_ceiling_holds",
    ),
    Mutant(
        "a cost that is unknown is nothing",
        f"{SLOTS}ceiling.py",
        "now.unknown += max(1, ended.attempts)",
        "pass",
        f"{CEILING}test_cost_that_one_job_does_not_tell_counts_as_the_dearest",
    ),
    Mutant(
        "a ceiling without a price holds nothing back",
        f"{SLOTS}ceiling.py",
        "return now.dearest is not None",
        "return True",
        f"{CEILING}test_price_that_nobody_knows_pauses_the_entry_by_name",
    ),
    Mutant(
        "a kill gives as much to spend as a person",
        f"{SLOTS}running.py",
        "self._state.resumed > held",
        "True",
        f"{CEILING}test_kill_before_the_pause_gives_no_more_to_spend",
    ),
    Mutant(
        "a paused entry goes on asking",
        f"{SLOTS}running.py",
        "        if self._state.paused is not None and not is_forced:\n",
        "        if False:\n",
        f"{CEILING}test_slot_of_an_entry_that_a_person_paused_asks_for_nothing",
    ),
    Mutant(
        "a rest is made up for by a burst",
        f"{SLOTS}running.py",
        "max(self._position.due, self._now()) + 1 / rate",
        "(self._position.due or self._now()) + 1 / rate",
        f"{TESTS}test_slot_pace.py::test_no_second_has_more_jobs_than_the_rate[40.0]",
    ),
    Mutant(
        "a job that dies again is replayed again",
        f"{SLOTS}queries.py",
        "            and dead.since < self.times.began\n",
        "",
        f"{DEAD}test_job_that_dies_again_is_replayed_once_a_slot",
    ),
    Mutant(
        "another file is read from the middle",
        f"{SLOTS}stored_rows.py",
        "return _digest(stream, place.offset) == place.digest",
        "return True",
        f"{FILE}test_rows_that_are_added_are_asked_and_another_file_is_read_from_its_start",
    ),
    Mutant(
        "an answer of this slot is too old when its row is asked for again",
        f"{SLOTS}queries.py",
        '"max_age": max_age + max(0.0, self.now() - self.slot)',
        '"max_age": max_age',
        f"{FILE}test_row_that_was_answered_since_the_slot_costs_nothing_when_it_is_asked_again[60.0]",
    ),
    Mutant(
        "a refresh does not look once more",
        f"{SLOTS}queries.py",
        '"max_age": max(0.0, found.age - _INSTANT)',
        '"force": True',
        f"{STALE}test_answer_that_somebody_made_anew_meanwhile_is_a_hit",
    ),
    Mutant(
        "an answer of an older version is asked for again",
        f"{SLOTS}queries.py",
        "if found.version != spec.version:",
        "if False:",
        f"{STALE}test_answers_of_an_older_version_are_left_alone",
    ),
    Mutant(
        "an entry that was changed goes on in the middle",
        f"{SLOTS}position.py",
        "if self.query != named:",
        "if not self.query:",
        f"{CEILING}test_entry_that_is_changed_under_way_begins_with_its_new_query",
    ),
    Mutant(
        "a slot waits for jobs that nobody follows",
        f"{SLOTS}running.py",
        "self._position.flight.clear()",
        "pass",
        f"{CEILING}test_entry_that_is_changed_under_way_begins_with_its_new_query",
    ),
    Mutant(
        "an older version's answer to another payload is served",
        "askonce/handle.py",
        "if record.fingerprint == self.fingerprint and made_at > own.removed_at:",
        "if made_at > own.removed_at:",
        "tests/unit/test_older_versions.py::test_other_payload_and_other_tenant_get_nothing_of_it",
    ),
    Mutant(
        "an older version gives back what was invalidated",
        "askonce/handle.py",
        "self.fingerprint and made_at > own.removed_at:",
        "self.fingerprint:",
        "tests/unit/test_older_versions.py"
        "::test_answer_that_was_invalidated_does_not_come_back_from_an_older_version",
    ),
    of_script(
        "a tombstone does not know that an answer was removed",
        "ends",
        "set(r, {fl = 'idle', iv = NOW_US})",
        "set(r, {fl = 'idle'})",
        "tests/contract/test_store_marks.py::test_when_an_answer_was_removed_is_known_until_the_next_one",
    ),
    of_script(
        "a new job does not know that an answer was removed by a mark",
        "admit",
        "    set(r, {iv = r.mark})\n",
        "",
        "tests/contract/test_store_marks.py::test_when_an_answer_was_removed_is_known_until_the_next_one",
    ),
    Mutant(
        "older versions keep what a person forgets",
        "askonce/cli/named.py",
        "        older = list(dict.fromkeys(key for job, _ in readings for key in older_keys(spec, job)))",
        "        older: list[Key] = []",
        "tests/unit/cli/test_acts.py::test_answers_of_older_versions_are_invalidated_with_those_of_fields",
    ),
    Mutant(
        "each row of a group reads its older answer alone",
        "askonce/enqueue.py",
        "        return with_older_answers(self.store, found) if call.spec.serves_versions else found\n",
        "        for at in list(found) * bool(call.spec.serves_versions):\n"
        "            found |= with_older_answers(self.store, {at: found[at]})\n"
        "        return found\n",
        "tests/unit/test_older_versions.py::test_group_reads_older_answers_in_one_round_trip",
    ),
)
