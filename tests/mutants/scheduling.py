"""Guards of what fires when: slots, what the store decides of them, and how they end."""

from tests.mutants.mutant import Mutant
from tests.mutants.scripts import of_script

SLOTS, FIRING, ENDING = (f"askonce/schedule/{name}.py" for name in ("slots", "firing", "ending"))
COMMANDS = "askonce/cli/schedule.py"
STORES = "tests/contract/test_schedules.py::"
TIMES = "tests/unit/test_slots.py::"
ENTRIES = "tests/unit/schedule/test_entry.py::"
UNIT = "tests/unit/schedule/test_firing.py::"
TOLD = "tests/unit/cli/test_schedule.py::"
CELERY = "tests/integration/test_celery_schedule.py::"

OF_SCHEDULING = (
    Mutant(
        "a time of day that comes twice fires twice",
        SLOTS,
        "return [first] if is_time_of_day else [first, second]",
        "return [first, second]",
        f"{TIMES}test_daily_slot_comes_once_when_clocks_change",
    ),
    Mutant(
        "a time of day that is left out does not fire",
        SLOTS,
        "return [_change(wall, zone)] if is_time_of_day else []",
        "return []",
        f"{TIMES}test_daily_slot_comes_once_when_clocks_change",
    ),
    Mutant(
        "times of a wall are taken for their order",
        SLOTS,
        "return _LONGEST_FOLD if len(offsets) > 1 else timedelta()",
        "return timedelta()",
        f"{TIMES}test_slots_are_those_that_a_clock_on_the_wall_shows",
    ),
    Mutant(
        "a grid of parts of a millisecond is rounded",
        SLOTS,
        "if abs(number * 1000 - round(number * 1000)) > number * 1e-9:",
        "if False:",
        f"{TIMES}test_what_has_no_slots_is_refused_by_name",
    ),
    of_script(
        "each scheduler decides a slot for itself",
        "schedule_decide",
        "if last and at <= newest then return 'known' end",
        "",
        f"{STORES}test_slot_is_sent_once_however_many_schedulers_decide_it",
    ),
    of_script(
        "one slot more waits",
        "schedule_decide",
        "if #waits >= tonumber(ARGV[1]) then",
        "if #waits > tonumber(ARGV[1]) then",
        f"{STORES}test_slot_is_skipped_while_another_one_is_under_way",
    ),
    of_script(
        "a paused entry fires",
        "schedule_decide",
        "if paused and ARGV[3] == '0' then",
        "if false then",
        f"{STORES}test_slots_of_a_paused_entry_do_not_fire_and_are_noted",
    ),
    of_script(
        "the first start of an entry fires",
        "schedule_decide",
        "if not last then return 'begun' end",
        "",
        f"{STORES}test_first_start_of_an_entry_fires_nothing",
    ),
    of_script(
        "each scheduler notes what passed",
        "schedule_decide",
        "if last and tonumber(ARGV[5]) and tonumber(ARGV[5]) > newest then",
        "if last and tonumber(ARGV[5]) then",
        f"{STORES}test_slots_that_passed_are_noted_once_by_all_schedulers",
    ),
    of_script(
        "a slot by hand decides those of the grid",
        "schedule_decide",
        "  if not by_hand then\n    if last",
        "  newest = math.max(newest, at)\n  if not by_hand then\n    if last",
        f"{STORES}test_person_starts_a_slot_beside_those_of_the_grid",
    ),
    of_script(
        "a slot that waits is passed by another one",
        "schedule_decide",
        "if not open and #waits == 0 then",
        "if not open then",
        f"{STORES}test_slot_that_waits_is_passed_by_no_other_one",
    ),
    of_script(
        "a slot ends twice",
        "schedule_ended",
        "if redis.call('HGET', key, 'open') ~= ARGV[1] then return {0, ''} end",
        "",
        f"{STORES}test_end_of_a_slot_counts_once",
    ),
    of_script(
        "a failure is a success",
        "schedule_ended",
        "if ARGV[2] == 'done' then",
        "if true then",
        f"{STORES}test_failed_slot_is_no_success_and_may_pause_its_entry",
    ),
    of_script(
        "a slot that waits begins in a pause",
        "schedule",
        "if open or paused or not wait or wait == '' then return end",
        "if open or not wait or wait == '' then return end",
        f"{STORES}test_slot_that_waits_begins_when_its_pause_ends",
    ),
    of_script(
        "a slot that has ended is under way",
        "schedule_progress",
        "if redis.call('HGET', KEYS[1], 'open') ~= ARGV[1] then return 0 end",
        "",
        f"{STORES}test_progress_is_of_the_slot_under_way",
    ),
    of_script(
        "a history has no end",
        "schedule",
        "redis.call('HSET', key, 'log', string.sub(log, 1, kept))",
        "redis.call('HSET', key, 'log', log)",
        f"{STORES}test_history_has_the_newest_lines",
    ),
    Mutant(
        "a slot whose scheduler died is lost",
        FIRING,
        "        else:\n            self.send(name, slot)",
        "        else:\n            pass",
        f"{UNIT}test_slot_of_a_scheduler_that_died_is_enqueued_by_another",
    ),
    Mutant(
        "a slot whose failure is forgotten runs again",
        FIRING,
        "elif record.present:",
        "elif record.run:",
        f"{UNIT}test_slot_whose_failure_is_forgotten_is_not_run_again",
    ),
    Mutant(
        "a slot older than any answer runs again",
        FIRING,
        "elif milliseconds > self.spec.hard_ttl * 1000:",
        "elif milliseconds > self.spec.hard_ttl * 1e9:",
        f"{UNIT}test_slot_that_is_older_than_any_answer_is_not_run_again",
    ),
    Mutant(
        "the clock of the host decides",
        FIRING,
        "            self._compare_clocks(look)\n",
        "            look = look._replace(now=int(self.clock() * 1000))\n",
        f"{UNIT}test_clock_of_a_host_decides_nothing_and_is_said_once",
    ),
    Mutant(
        "a wrong clock is said at each tick",
        FIRING,
        "            self._clock_off = off\n",
        "",
        f"{UNIT}test_clock_of_a_host_decides_nothing_and_is_said_once",
    ),
    Mutant(
        "a store that is away is said at each tick",
        FIRING,
        "            self._is_away = True\n",
        "",
        f"{UNIT}test_store_that_is_away_is_said_once_and_caught_up_with",
    ),
    Mutant(
        "a slot of a late tick was missed",
        FIRING,
        "if now - slot <= LATE * 1000)",
        "if now - slot < LATE * 1000)",
        f"{UNIT}test_slot_that_is_a_little_late_was_not_missed",
    ),
    Mutant(
        "missed slots skip each other",
        FIRING,
        "waiting = len(slots) if len(slots) > 1 else waiting",
        "pass",
        f"{UNIT}test_hours_without_a_scheduler_are_caught_up_with_as_the_policy_says",
    ),
    Mutant(
        "a scheduler sleeps past a slot",
        FIRING,
        "return min([LONGEST_TICK, *(milliseconds / 1000 for milliseconds in to_come)])",
        "return LONGEST_TICK",
        f"{UNIT}test_tick_rests_until_the_next_slot",
    ),
    Mutant(
        "a failure pauses no entry",
        ENDING,
        'what == "failed" and entry.policy.pause_on_failure',
        "False",
        f"{UNIT}test_slot_that_fails_pauses_its_entry_where_its_policy_says_so",
    ),
    Mutant(
        "a worker leaves its slots to schedulers",
        "askonce/adapters/celery/slot_task.py",
        "        if isinstance(ended, Verdict) and ended.result is not None:",
        "        if isinstance(ended, str):",
        f"{CELERY}test_worker_ends_the_slot_that_it_ran_without_any_scheduler",
    ),
    Mutant(
        "two entries have one name",
        "askonce/schedule/entry.py",
        "if entry.name in found:",
        "if entry in found:",
        f"{CELERY}test_schedule_that_cannot_be_is_refused_where_it_is_written",
    ),
    Mutant(
        "a time that no answer has is taken for an age",
        "askonce/schedule/entry.py",
        '        require_within(owner, "max_age", seconds, 0.0, LONGEST)',
        "        pass",
        f"{ENTRIES}test_field_that_cannot_be_is_refused_where_it_is_written",
    ),
    Mutant(
        "the letters of a text are reasons",
        "askonce/schedule/entry.py",
        "texts = isinstance(reasons, tuple) and",
        "texts = isinstance(reasons, tuple | str) and",
        f"{ENTRIES}test_field_that_cannot_be_is_refused_where_it_is_written",
    ),
    Mutant(
        "a slot that asked for nothing it found is a success",
        "askonce/schedule/running.py",
        "        if counts and not counts.keys() - _NOT_ASKED:",
        "        if False:",
        "tests/unit/schedule/test_slot_of_a_file.py::test_slot_of_which_each_row_was_refused_is_no_success",
    ),
    Mutant(
        "half of a row is none",
        "askonce/schedule/stored_rows.py",
        "if not is_whole and (isinstance",
        "if False and (isinstance",
        "tests/unit/schedule/test_slot_of_a_file.py::test_row_that_is_half_written_is_asked_for_when_it_is_whole",
    ),
    Mutant(
        "each scheduler says what was missed",
        FIRING,
        "if found.missed is not None and decided.noted:",
        "if found.missed is not None:",
        f"{UNIT}test_what_was_missed_is_said_by_the_scheduler_that_decided_it",
    ),
    Mutant(
        "a slot of a killed worker pays for stale answers again",
        "askonce/schedule/asking.py",
        "if self._repeats and self._has_ended(own):",
        "if False:",
        "tests/unit/schedule/test_slot_of_a_file.py"
        "::test_answer_that_is_stale_when_its_killed_slot_goes_on_is_not_paid_again",
    ),
    Mutant(
        "a pause forgets that a slot was cut off",
        "askonce/schedule/running.py",
        "self._position.asking = self._repeats and self._left > 0",
        "self._position.asking = False",
        "tests/unit/schedule/test_slot_of_a_file.py"
        "::test_stale_answer_is_not_paid_again_after_a_kill_and_a_pause",
    ),
    Mutant(
        "an entry of an unknown task is fired",
        "askonce/adapters/celery/scheduler.py",
        "        refuse(once.check_schedule())\n",
        "",
        f"{CELERY}test_entries_that_no_task_can_answer_end_scheduler_and_worker_by_name",
    ),
    Mutant(
        "a start by hand is in no audit",
        COMMANDS,
        '        write_down(firing.store, "run", f"schedule {name}", note)\n',
        "",
        f"{TOLD}test_person_starts_a_slot_now",
    ),
    Mutant(
        "a start by hand waits for a scheduler",
        COMMANDS,
        "            firing.send(name, slot)\n",
        "            pass\n",
        f"{TOLD}test_person_starts_a_slot_now",
    ),
)
