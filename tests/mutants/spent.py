"""Guards of what a job cost, each with a test that notices."""

from tests.mutants.mutant import Mutant
from tests.mutants.scripts import of_script

STORE = "tests/contract/test_store_spent.py::"
COSTS = "tests/unit/test_cost_of_attempts.py::"
KEPT = "tests/unit/test_two_steps_twice.py::"
MEETINGS = "tests/unit/test_meeting_costs.py::"
QUESTIONS = "tasks/meetings/questions.py"
TWICE = "tasks/providers/openai/twice.py"

#: What all attempts cost, in an answer and in a failure.
OF_SPENT = (
    of_script(
        "a failure keeps no cost",
        "fail",
        "if ARGV[11] ~= '' then set(r, {sp = ARGV[11]}) end\n",
        "",
        f"{STORE}test_next_attempt_gets_what_the_first_one_cost",
    ),
    of_script(
        "a new job inherits what the last one cost",
        "admit",
        "remove(r, 'sh', 'run', 'sp')",
        "remove(r, 'sh', 'run')",
        f"{STORE}test_job_asked_again_after_its_end_begins_with_nothing[job-1-ended]",
    ),
    of_script(
        "a later attempt is not told what the earlier ones cost",
        "reply",
        "local goes_on = outcome == 'granted' and r.att > 1",
        "local goes_on = false",
        f"{STORE}test_next_attempt_gets_what_the_first_one_cost",
    ),
    Mutant(
        "a sum that leaves an attempt out counts as the whole",
        "askonce/bill.py",
        "if (known, covered) == (job, attempts):",
        "if known == job:",
        f"{COSTS}test_cost_is_unknown_after_a_worker_was_lost",
    ),
    Mutant(
        "an attempt without a sum was free",
        "askonce/bill.py",
        "return Spend() if attempts > 0 else NOTHING",
        "return NOTHING",
        f"{COSTS}test_kept_cost_that_does_not_cover_all_attempts_is_unknown[older version]",
    ),
    Mutant(
        "an answer costs its last attempt only",
        "askonce/spend.py",
        "return Costs(total([earlier, own.spend]), own.spend,",
        "return Costs(own.spend, own.spend,",
        f"{COSTS}test_answer_costs_what_all_attempts_cost",
    ),
    Mutant(
        "an attempt books what the earlier ones have booked",
        "askonce/started.py",
        "book=book_of(self.job, cost.paid), spent=spent)",
        "book=book_of(self.job, cost.made), spent=spent)",
        f"{COSTS}test_failure_costs_what_all_attempts_cost[permanent]",
    ),
    Mutant(
        "a call in doubt is free",
        "askonce/spend.py",
        "[_without_doubt(spend) for spend in spends if spend.calls or spend.in_doubt]",
        "[spend for spend in spends if spend.calls]",
        f"{COSTS}test_answer_after_an_attempt_of_unknown_cost_has_none[in doubt]",
    ),
    Mutant(
        "what is named as the whole is added to",
        "askonce/spend.py",
        "    if paid is None:\n        return Costs(",
        "    if True:\n        return Costs(",
        f"{COSTS}test_answer_that_names_what_it_paid_has_its_own_sum",
    ),
    Mutant(
        "an answer made without the store forgets its earlier attempts",
        "askonce/store_down/calls.py",
        "    if record.spent == NOTHING:\n",
        "    if True:\n",
        f"{COSTS}test_answer_made_without_the_store_has_the_cost_of_earlier_attempts[None-2-0.000426]",
    ),
    Mutant(
        "a failed row does not tell what it cost",
        "producer/run/report.py",
        "            _pay(report, failure.spend, outcome.attempts, here=outcome.job == own_job)\n",
        "            report.attempts = outcome.attempts\n",
        f"{COSTS}test_row_and_commands_tell_what_a_failed_job_cost",
    ),
    Mutant(
        "a response that is read counts its killed waiters",
        TWICE,
        "self.earlier, self.goes_on = self._before, True",
        "self.goes_on = True",
        f"{KEPT}test_answer_read_after_a_killed_worker_costs_what_it_is_known_to_cost",
    ),
    Mutant(
        "a response forgets what the job cost before",
        TWICE,
        "if self.response and before != NOTHING:",
        "if False:",
        f"{KEPT}test_response_after_an_attempt_in_doubt_has_no_known_cost",
    ),
    Mutant(
        "a failed meeting forgets its failed part",
        QUESTIONS,
        "            self._count(attempt, job, failed.job, spend_of(failed))\n",
        "",
        f"{MEETINGS}test_failed_meeting_costs_what_its_parts_cost_also_the_failed_one",
    ),
    Mutant(
        "each meeting pays for the parts that it shares",
        QUESTIONS,
        "spend if is_own else replace(spend, caused=NOTHING)",
        "spend",
        f"{MEETINGS}test_part_that_two_meetings_share_is_paid_by_the_one_that_called",
    ),
    Mutant(
        "a part is paid by whose job it was first",
        "askonce/attempt.py",
        "found._replace(made=replace(found.made, by=attempt.called_by)) if attempt.called_by else found",
        "found",
        f"{MEETINGS}test_part_of_another_meeting_is_paid_by_the_one_that_calls_again",
    ),
    Mutant(
        "a part that a worker ran by itself is nobody's",
        QUESTIONS,
        "in (attempt.job, part.id)",
        "in (attempt.job,)",
        f"{MEETINGS}test_part_that_a_worker_ran_by_itself_is_paid_by_the_meeting_that_waited",
    ),
    Mutant(
        "an order costs a call whatever was sent",
        "tasks/orders/body.py",
        "paid=NOTHING, caused=whole)",
        "paid=NOTHING)",
        "tests/unit/test_orders.py::test_order_whose_customer_was_known_caused_no_call",
    ),
)
