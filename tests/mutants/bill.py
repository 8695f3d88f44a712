"""Guards of a run's bill, each with a test that notices."""

from tests.mutants.mutant import Mutant

BILL = "producer/bill/"
PURSE = "producer/run/purse.py"
STARTS = "tests/unit/test_purse.py::"
BUDGET = "tests/unit/test_bill_budget.py::"
ESTIMATE = "tests/unit/test_bill_estimate.py::"
PILOT = "tests/unit/test_bill_pilot.py::"
WORST = "tests/unit/test_bill_worst.py::"
PRICES = "tests/unit/test_model_prices.py::"

OF_BILLS = (
    Mutant(
        "a budget reserves nothing",
        f"{BILL}budget.py",
        "line.reserved += needed or 0",
        "pass",
        f"{BUDGET}test_no_order_of_ends_passes_a_line",
    ),
    Mutant(
        "an unknown cost is refunded",
        f"{BILL}budget.py",
        "self.spent += reserved if paid is None else paid",
        "self.spent += paid or 0",
        f"{BUDGET}test_unknown_cost_keeps_the_whole_reserve",
    ),
    Mutant(
        "a row of unknown price is within dollars",
        f"{BILL}budget.py",
        "if any(needed is None or needed > line.left for",
        "if any(needed is not None and needed > line.left for",
        f"{BUDGET}test_job_of_unknown_price_is_never_admitted_within_dollars",
    ),
    Mutant(
        "calls that may follow a row are given back",
        PURSE,
        "    return is_own and not is_answered\n",
        "    return False\n",
        f"{STARTS}test_row_without_an_answer_keeps_the_calls_that_may_follow_its_end[ended0-9]",
    ),
    Mutant(
        "a start does not say what it sends can cost",
        PURSE,
        "            self._keep(self._new)\n",
        "",
        f"{STARTS}test_rows_of_a_killed_start_keep_what_they_can_cost",
    ),
    Mutant(
        "a row that is sent again reserves twice",
        PURSE,
        "        if row in self._reserved:\n",
        "        if False:\n",
        f"{STARTS}test_row_that_is_sent_again_reserves_nothing_more",
    ),
    Mutant(
        "a new round forgets what the last one left under way",
        PURSE,
        "for row in [row for row in self._reserved if row in rows]:\n",
        "for row in ():\n",
        f"{STARTS}test_rows_that_a_new_round_asks_anew_count_as_paid",
    ),
    Mutant(
        "a pilot is begun anew by each start",
        "producer/run/piloted.py",
        "for row, cost in called.items():",
        "for row, cost in ():",
        "tests/unit/test_piloted.py::test_pilot_that_called_enough_before_calls_nothing",
    ),
    Mutant(
        "other content takes the key from a row under way",
        "askonce/enqueue.py",
        "        if under_way is not None:\n",
        "        if False:\n",
        "tests/unit/test_run_held.py::test_earlier_row_keeps_its_answer_and_its_cost_and_names_the_later_one",
    ),
    Mutant(
        "a row that is held back is ahead of nothing",
        "producer/run/run.py",
        "self._following.jobs + len(self._held)",
        "self._following.jobs",
        "tests/unit/test_run_held.py::test_row_that_is_held_back_when_the_run_stops_stays_open[2]",
    ),
    Mutant(
        "a row is paid once",
        "tasks/calls.py",
        "return self.attempts * self.answers",
        "return 1",
        f"{WORST}test_no_path_of_answers_costs_more_than_the_worst_case[{{-stop-False-False-chat]",
    ),
    Mutant(
        "the schema is not counted",
        "tasks/meetings/calls.py",
        "len(prompt.instructions.encode()) + len(",
        "len(prompt.instructions.encode()) + 0 * len(",
        f"{ESTIMATE}test_instructions_and_schema_are_counted_with_the_text",
    ),
    Mutant(
        "an unknown bound of output is none",
        f"{BILL}worst.py",
        "min(known, default=None)",
        "min(known, default=0)",
        f"{WORST}test_missing_bound_is_said_with_the_way_out[no limit]",
    ),
    Mutant(
        "an unseen row is like those that were seen",
        f"{BILL}pilot.py",
        "more = [*rests, _UNSEEN * max(rests)]",
        "more = rests",
        f"{PILOT}test_final_cost_is_inside_in_19_of_20_runs[0-heavier]",
    ),
    Mutant(
        "a tier that the list does not have is the plain one",
        "tasks/prices.py",
        "if isinstance(tier, str) and tier not in _tiers(model):",
        "if False:",
        f"{PRICES}test_list_price_of_a_tier_that_it_does_not_have_is_unknown[scale-None]",
    ),
    Mutant(
        "a worst case is in the plain tier",
        "tasks/prices.py",
        "for tier in _tiers(model)\n",
        "for tier in (_PLAIN,)\n",
        f"{PRICES}test_no_tier_and_no_kind_of_input_costs_more_than_the_most[cache_write_tokens-priority-1000]",
    ),
    Mutant(
        "an answer that was cut at the limit is paid again",
        "tasks/providers/openai/twice.py",
        "    if _is_cut_at(most, found):",
        "    if False:",
        "tests/unit/test_ask_twice.py::test_answer_that_is_cut_at_the_operators_limit_is_paid_once[500]",
    ),
    Mutant(
        "a higher limit passes the operator's",
        "tasks/providers/openai/model.py",
        "min(limits, default=None)",
        "limits[0] if limits else None",
        "tests/unit/test_ask_twice.py::test_no_answer_may_have_more_than_the_operators_limit"
        "[responses-https://api.openai.com/v1-max_output_tokens]",
    ),
)
