"""Guards of a run that goes on after a kill, and of what was sent without the store."""

from tests.mutants.mutant import Mutant

DEGRADED = "tests/unit/test_enqueue_degraded.py::"
AGAIN = "tests/unit/test_again.py::"
HOLDER = "tests/unit/test_holder.py::"

#: What a start takes over from the one before it.
OF_RESUMED = (
    Mutant(
        "rows that a killed start sent apart share a group",
        "producer/run/groups.py",
        "(self._group_of(row.number), self._how(row.number))",
        "(0, self._how(row.number))",
        "tests/unit/test_run_held.py::test_rows_that_a_killed_start_sent_apart_are_sent_apart_again",
    ),
    Mutant(
        "the group of a killed start is cut where there is no room",
        "producer/run/groups.py",
        "(len(group) < room or self._was_sent(group))",
        "len(group) < room",
        "tests/unit/test_run_groups.py::"
        "test_group_of_a_killed_start_is_one_group_again_whatever_room_there_is",
    ),
    Mutant(
        "ends wait in a buffer while the next group is sent",
        "producer/run/journal.py",
        '{"sent": rows}))\n        self._flush()',
        '{"sent": rows}))',
        "tests/unit/test_journal.py::test_what_ended_before_a_group_is_sent_is_on_the_disk_with_the_group",
    ),
    Mutant(
        "a pipe is taken for the one before it whatever it brings",
        "producer/run/chosen.py",
        "elif known[last] != digest:",
        "elif False:",
        "tests/unit/test_piped_rows.py::"
        "test_row_with_the_same_key_and_other_content_is_another_row[other content]",
    ),
    Mutant(
        "a run that never began leaves a journal",
        "producer/run/journal.py",
        "not os.fstat(self._stream.fileno()).st_size",
        "False",
        "tests/unit/test_journal.py::test_start_that_is_refused_before_its_run_begins_leaves_no_journal",
    ),
    Mutant(
        "a run writes to a journal that another start removes",
        "producer/run/journal.py",
        "if os.fstat(stream.fileno()).st_nlink:",
        "if True:",
        "tests/unit/test_journal.py::"
        "test_start_that_opens_a_journal_while_another_one_removes_it_opens_its_own",
    ),
    Mutant(
        "two producers of one host and number are one",
        "producer/run/holder.py",
        "{token_hex(_DRAWN // 2)}",
        "",
        f"{HOLDER}test_producers_with_one_host_and_one_number_are_two",
    ),
    Mutant(
        "a process of another container is looked for here",
        "producer/run/holder.py",
        "if mark[:_PLACE] != _place() or not pid.isdigit():",
        "if not pid.isdigit():",
        f"{HOLDER}test_process_of_another_container_is_not_gone",
    ),
    Mutant(
        "a row that was read and not sent counts",
        "producer/progress/counts.py",
        "self.rows = self.finished + queued",
        "pass",
        "tests/unit/test_run_stops.py::test_row_that_costs_too_much_is_no_part_of_the_summary",
    ),
    Mutant(
        "a row whose key has other content takes it back",
        "producer/run/sinks.py",
        "is_failed = line.failed and not line.superseded",
        "is_failed = line.failed",
        "tests/unit/test_journal.py::test_row_whose_key_has_other_content_is_no_failed_one",
    ),
    Mutant(
        "a job of an earlier start is another's once the row waits for it",
        "producer/run/report.py",
        "None if _is_own(report, report.job, own_job) else NOTHING",
        'None if report.asked == "admitted" else NOTHING',
        "tests/unit/test_run_cost.py::"
        "test_row_of_a_start_that_goes_on_may_still_pay_for_a_job_of_its_own[own]",
    ),
    Mutant(
        "a refresh of some rows forgets the answers of all others",
        "producer/run/begin.py",
        "            self.lines.restore()\n",
        "",
        "tests/unit/test_journal.py::test_refresh_of_some_rows_leaves_their_answers_to_the_others",
    ),
    Mutant(
        "an interrupted refresh of some rows is one of all",
        "producer/run/again.py",
        "        return ALL\n    return drawn(",
        "        return ALL\n    return ALL or drawn(",
        f"{AGAIN}test_refresh_that_is_interrupted_is_finished_for_its_own_rows[words1-rows1]",
    ),
    Mutant(
        "an interrupted refresh of the first rows is one of all",
        "producer/run/again.py",
        "return range(1, round_.limit + 1)",
        "return ALL",
        f"{AGAIN}test_refresh_that_is_interrupted_is_finished_for_its_own_rows[words0-rows0]",
    ),
    Mutant(
        "rows without an end are made anew by the refresh of others",
        "producer/run/again.py",
        "        if row not in self.anew:\n",
        "        if row not in self.anew and self.since is None:\n",
        f"{AGAIN}test_other_rows_without_an_end_are_asked_for_as_without_a_refresh[words1]",
    ),
    Mutant(
        "an interrupted start that retries some failures is one of all",
        "producer/run/sinks.py",
        "return None if is_failed and row in self._failed and",
        "return None if is_failed and",
        f"{AGAIN}test_failures_are_asked_for_again_by_a_later_start_where_the_interrupted_one_did[words0-rows0]",
    ),
    Mutant(
        "a refresh of more rows is taken for the interrupted one of fewer",
        "producer/run/begin.py",
        "(same and has_all_of(last, wanted))",
        "same",
        f"{AGAIN}test_words_that_ask_for_more_rows_again_begin_anew[began3-wants3-later-first0]",
    ),
    Mutant(
        "a refresh of some rows takes the jobs of the others",
        "producer/run/begin.py",
        "if group and row not in made_anew and self._is_under_way(row):",
        "if group and not made_anew and self._is_under_way(row):",
        f"{AGAIN}test_rows_under_way_keep_their_jobs_while_others_are_made_anew",
    ),
    Mutant(
        "rows that are asked for in another way share a group",
        "producer/run/groups.py",
        "(self._group_of(row.number), self._how(row.number))",
        "(self._group_of(row.number), None)",
        "tests/unit/test_run_groups.py::test_rows_that_are_asked_for_in_another_way_have_groups_of_their_own",
    ),
    Mutant(
        "rows under way get other jobs when failures are asked for again",
        "producer/run/begin.py",
        "if group and row not in made_anew and self._is_under_way(row):",
        "if False:",
        "tests/unit/test_journal.py::"
        "test_rows_that_a_round_left_under_way_keep_their_jobs_while_failures_are_asked_for_again",
    ),
    Mutant(
        "a row that was held back is left out at the end",
        "producer/run/run.py",
        "groups.has_ended and not groups.has_put_back and not",
        "groups.has_ended and not",
        "tests/unit/test_run_held.py::"
        "test_row_that_was_held_back_waits_for_room_also_when_all_others_are_read",
    ),
    Mutant(
        "a failed order forgets what its earlier attempts cost",
        "tasks/providers/customers.py",
        "whole = total([earlier, *paid])",
        "whole = total(paid)",
        "tests/unit/test_orders.py::test_order_that_fails_says_also_what_its_earlier_attempts_cost",
    ),
    Mutant(
        "a record from before is the answer to a message that nobody has admitted",
        "askonce/handle.py",
        "if not self._is_admitted and record.checked().job != self.job:",
        "if False:",
        f"{DEGRADED}test_caller_gets_no_answer_from_before_that_is_too_old",
    ),
    Mutant(
        "a row that was sent without the store pays for any answer",
        "producer/run/report.py",
        'report.asked == "admitted" and not report.degraded',
        'report.asked == "admitted"',
        f"{DEGRADED}test_rows_that_were_sent_without_the_store_cost_what_one_call_cost",
    ),
    Mutant(
        "a copy of a message that nobody had admitted is a new request",
        "askonce/runner.py",
        "if delivery.drawn and",
        "if False and",
        f"{DEGRADED}test_copy_of_a_message_makes_no_call_however_old_the_answer_is",
    ),
    Mutant(
        "a request under a chosen id is a copy",
        "askonce/enqueue.py",
        "drawn=not call.chose_id",
        "drawn=True",
        f"{DEGRADED}test_new_request_makes_a_call_where_the_answer_is_too_old[chosen]",
    ),
)
