"""Guards of the pace of calls to a provider, each with a test that notices."""

from tests.mutants.mutant import Mutant
from tests.mutants.scripts import of_script

PACE = "askonce/pace/"
LAW = "tests/unit/test_pace_law.py::"
GATE = "tests/unit/test_pace_gate.py::"
CROWDS = "tests/unit/test_pace_crowds.py::"
MANY = "tests/unit/test_pace_many_processes.py::"
FAILURES = "tests/unit/test_pace_failures.py::"
ENDINGS = "tests/unit/test_pace_endings.py::"

#: Which state follows from what the calls met.
_OF_LAW = (
    Mutant(
        "a report counts each time it is seen",
        f"{PACE}law.py",
        "if each.has_news and state.taken.get(who) != each.number",
        "if each.has_news",
        f"{LAW}test_report_counts_once_however_often_it_is_seen",
    ),
    Mutant(
        "what a report says of a refusal that was counted before is no news",
        f"{PACE}state.py",
        "replace(self, number=0, epoch=0, open=0, wanted=0, parked=0)",
        "replace(self, number=0, epoch=0, open=0, wanted=0, parked=0, refused_now=0, reason='')",
        "tests/unit/test_pace_outages.py::test_processes_of_one_call_leave_a_provider_alone_that_refuses_all",
    ),
    Mutant(
        "calls under way are taken, though all are refused then",
        f"{PACE}law.py",
        "elif _is_crowd_refused(state, fresh):",
        "elif False:",
        "tests/unit/test_pace_refused_crowds.py"
        "::test_provider_that_refuses_all_that_is_under_way_accepts_nothing",
    ),
    Mutant(
        "each refusal of a crowd is one",
        f"{PACE}law.py",
        "each if each.epoch == state.epoch else each.of_the_past()",
        "each",
        f"{LAW}test_crowd_that_was_under_way_is_one_refusal",
    ),
    Mutant(
        "a few refusals cost most of the rate",
        f"{PACE}law.py",
        "0.25 if is_crowd else 0.85",
        "0.25",
        f"{LAW}test_few_refusals_cost_at_most_15_percent_of_the_rate",
    ),
    Mutant(
        "a provider that is away is asked each second",
        f"{PACE}law.py",
        "times = last.times + 1 if last else 1",
        "times = 1",
        f"{LAW}test_provider_that_accepts_nothing_is_left_alone_longer_each_time",
    ),
    Mutant(
        "a late answer ends an outage",
        f"{PACE}law.py",
        "if any(each.cured for each in fresh):",
        "if any(each.answered for each in fresh):",
        f"{LAW}test_rest_of_a_provider_that_is_away_ends_with_a_cure_only",
    ),
    Mutant(
        "the wish for one job stops all for a day",
        f"{PACE}law.py",
        "min(max(wish, _FIRST_REST), REST_WHILE_ACCEPTED)",
        "max(wish, _FIRST_REST)",
        f"{LAW}test_wish_of_a_day_is_a_minute_for_all_while_others_are_accepted",
    ),
    Mutant(
        "of a crowd that fails for any job one counts",
        f"{PACE}law.py",
        "    wish = max(each.wish for each in fresh)\n",
        "    state.begin_epoch()\n    wish = max(each.wish for each in fresh)\n",
        f"{LAW}test_failures_of_calls_that_were_under_way_together_all_count",
    ),
    Mutant(
        "each timeout lowers the limit",
        f"{PACE}limit.py",
        "if now < state.next_change or state.is_fixed:",
        "if state.is_fixed:",
        f"{LAW}test_timeouts_lower_the_limit_once_a_round_trip",
    ),
    Mutant(
        "chance is taken for a queue",
        f"{PACE}limit.py",
        "> 2 * error",
        "> 0 * error",
        f"{LAW}test_longer_calls_are_a_queue_only_with_answers_enough[8-1.0]",
    ),
    Mutant(
        "what was an outage stays the rate",
        f"{PACE}rate.py",
        "        state.rate, state.full = state.rate_before, None\n",
        "        pass\n",
        f"{LAW}test_rate_returns_where_a_limit_was_the_beginning_of_an_outage",
    ),
)

#: Which call may begin, and what it leaves.
_OF_GATE = (
    Mutant(
        "each process looks if the provider is back",
        f"{PACE}shares.py",
        "return int(state.rest.by == me)",
        "return 1",
        f"{GATE}test_one_call_of_all_processes_looks_if_the_provider_is_back",
    ),
    Mutant(
        "old calls take the place of the look",
        f"{PACE}places.py",
        "if turn.is_open and turn.crowd == self._crowd:",
        "if turn.is_open:",
        f"{GATE}test_calls_of_before_an_outage_take_no_place_of_the_look",
    ),
    Mutant(
        "a wait that was ended keeps its place",
        f"{PACE}gate.py",
        "if waiting in self._queue:",
        "if False:",
        f"{GATE}test_time_limit_in_the_wait_leaves_no_one_behind_it",
    ),
    Mutant(
        "the last call to come is the first",
        f"{PACE}gate.py",
        "self._queue.append(waiting)",
        "self._queue.appendleft(waiting)",
        f"{GATE}test_calls_begin_in_the_order_in_which_they_came",
    ),
    Mutant(
        "a call is made that was not to be made any more",
        f"{PACE}gate.py",
        "            look()\n",
        "",
        "tests/unit/test_pace_looks.py::test_call_whose_look_says_no_is_not_made_and_frees_its_place",
    ),
    Mutant(
        "a call that waited is made though no answer can be used",
        "tasks/providers/openai/model.py",
        ", look=look)",
        ")",
        "tests/unit/test_unusable_stop.py::test_call_whose_turn_comes_after_the_stop_is_not_made",
    ),
    Mutant(
        "a late call of before an outage was the only one",
        f"{PACE}places.py",
        "max(turn.among, self.open + self._member.share.open_elsewhere)",
        "self.open + self._member.share.open_elsewhere",
        "tests/unit/test_pace_looks.py::test_call_of_before_an_outage_that_is_late_names_how_many_were_open",
    ),
    Mutant(
        "a call waits on while its worker ends",
        f"{PACE}gate.py",
        "gives_up = is_ending or now",
        "gives_up = now",
        f"{ENDINGS}test_calls_that_wait_are_given_back_when_their_worker_ends",
    ),
    Mutant(
        "an exchange wakes no call that waits",
        f"{PACE}gate.py",
        "        for waiting in self._queue:\n            waiting.set()\n",
        "",
        f"{ENDINGS}test_calls_that_wait_are_given_back_when_their_worker_ends",
    ),
    Mutant(
        "a call that waited begins while its worker ends",
        f"{PACE}gate.py",
        "if is_first and not is_ending else inf",
        "if is_first else inf",
        f"{ENDINGS}test_call_whose_turn_comes_while_its_worker_ends_is_given_back",
    ),
    Mutant(
        "the children of a worker do not learn that it ends",
        "worker/app.py",
        "_is_ending = mmap(-1, 1)",
        "_is_ending = bytearray(1)",
        "tests/fault/test_ending_workers.py::"
        "test_job_that_waits_in_a_child_is_given_back_when_its_worker_ends",
    ),
    Mutant(
        "a process opens more than its share",
        f"{PACE}places.py",
        "if self.open >= share.limit:",
        "if False:",
        f"{GATE}test_no_more_calls_are_open_than_the_share",
    ),
    Mutant(
        "a process knows of its own parked jobs only",
        f"{PACE}gate.py",
        "interval, share.parked_elsewhere)",
        "interval, 0)",
        f"{CROWDS}test_job_waits_for_those_that_other_processes_parked",
    ),
    Mutant(
        "parked jobs come back together",
        f"{PACE}returns.py",
        "(self._place + _GOLDEN) % 1.0",
        "0.0",
        f"{CROWDS}test_parked_jobs_come_back_after_the_rest_and_never_many_at_once",
    ),
    Mutant(
        "a job waits for those that came back",
        f"{PACE}returns.py",
        "while self._times and self._times[0] <= now:",
        "while False:",
        f"{CROWDS}test_place_of_a_job_that_came_back_is_free",
    ),
    Mutant(
        "a process that wants nothing may take the whole limit",
        f"{PACE}shares.py",
        "free // len(members) + (members.index(me) < free % len(members))",
        "free",
        f"{MANY}test_limit_is_divided_also_among_those_that_want_nothing[0-16]",
    ),
    Mutant(
        "processes that begin together begin at once",
        f"{PACE}places.py",
        "now + self._member.share.after)",
        "now)",
        f"{MANY}test_processes_that_begin_together_begin_one_after_the_other",
    ),
    Mutant(
        "a job's own refusal in another process is another job's",
        f"{PACE}member.py",
        'for job in each.jobs or [""]]',
        'for job in [""]]',
        f"{MANY}test_refusals_of_one_job_in_two_processes_are_its_own_trouble",
    ),
    Mutant(
        "longer calls are a queue for good",
        f"{PACE}limit.py",
        "if late >= _LATE_IN_A_ROW:",
        "if False:",
        "tests/unit/test_pace_slow_calls.py::test_limit_grows_again_once_calls_are_seen_to_be_longer_by_themselves",
    ),
    Mutant(
        "each new process begins at once",
        f"{PACE}member.py",
        "provider.ceiling, provider.ceiling, is_idle=True)",
        "provider.ceiling, provider.ceiling)",
        f"{MANY}test_new_processes_begin_one_after_the_other_under_a_ceiling",
    ),
    Mutant(
        "the wish for one job rests all",
        f"{PACE}law.py",
        "bool(wish) and _is_common(state, now, fresh)",
        "bool(wish)",
        f"{MANY}test_wish_for_one_job_alone_rests_no_other",
    ),
    Mutant(
        "a cure limits what has no limit",
        f"{PACE}law.py",
        "            if not state.is_fixed:\n",
        "            if True:\n",
        f"{MANY}test_answers_that_can_be_used_again_are_not_limited",
    ),
    Mutant(
        "a call that is stopped keeps its place",
        f"{PACE}gate.py",
        "            if turn.is_open:\n",
        "            if False:\n",
        f"{FAILURES}test_place_of_a_call_that_anything_ends_is_free[KeyboardInterrupt]",
    ),
    Mutant(
        "a long call gives its share away",
        f"{PACE}member.py",
        "self._load().wanted > 0 or ",
        "",
        f"{GATE}test_process_keeps_its_share_while_a_call_is_under_way",
    ),
    Mutant(
        "a store that is down is told each time",
        f"{PACE}member.py",
        "if reason is not None and not self._is_alone:",
        "if reason is not None:",
        f"{GATE}test_store_that_is_down_is_told_once_and_calls_go_on",
    ),
)

OUTAGES = "tests/unit/test_pace_outages.py::"
LEARNING = "tests/unit/test_pace_learning.py::"
BACK = "tests/unit/test_pace_after_outages.py::"

#: What many processes learn, each from few calls.
_OF_OUTAGES = (
    Mutant(
        "a process between two calls leaves its share to the others",
        f"{PACE}demand.py",
        "return max(self._before, self._most)",
        "return wanted",
        f"{LEARNING}test_process_between_two_calls_still_wants_its_share",
    ),
    Mutant(
        "headers are believed against refusals",
        f"{PACE}rate.py",
        "least = min(least, 0.6) if state.full is not None else 0.0",
        "least = min(least, 0.6)",
        f"{LEARNING}test_refusal_is_believed_against_headers_that_allow_far_more",
    ),
    Mutant(
        "a rate from before an outage stays for good",
        f"{PACE}rate.py",
        "if since < until), _LATER_GROWTH)",
        "if since < until), 0.0)",
        f"{BACK}test_rate_from_before_an_outage_grows_where_it_is_used",
    ),
    Mutant(
        "a rate grows while calls are refused",
        f"{PACE}rate.py",
        "if wanted and since >= _SETTLES_IN and",
        "if wanted and",
        f"{LEARNING}test_rate_does_not_grow_while_calls_are_still_refused",
    ),
    Mutant(
        "calls that are lost now and then stop all",
        f"{PACE}law.py",
        "        state.misconfigured = state.lost = 0\n    else:\n",
        "        state.misconfigured = 0\n    if True:\n",
        f"{OUTAGES}test_lost_call_among_answered_ones_stops_nobody",
    ),
)

#: What the model's client tells its pace.
_OF_MODEL = (
    Mutant(
        "a page is met by each job",
        "tasks/providers/openai/model.py",
        "        if is_page(content):\n",
        "        if False:\n",
        "tests/unit/test_model_pace.py::test_page_in_place_of_a_reply_is_a_wrong_address_to_all_calls",
    ),
    Mutant(
        "a service that does not count allows nothing",
        "tasks/providers/allowance.py",
        "if not limit or",
        "if limit is None or",
        "tests/unit/test_allowance.py::test_limit_that_is_not_counted_is_unknown[9-0]",
    ),
    Mutant(
        "a refusal inside a reply is an answer",
        "tasks/providers/openai/model.py",
        "if (refusal := refusal_in(content)) is not None:",
        "if (refusal := refusal_in(content)) is not None and not content:",
        "tests/unit/test_late_refusals.py::"
        "test_refusal_in_a_reply_of_success_stops_the_calls_of_all_jobs[402-no_credit]",
    ),
    Mutant(
        "a first answer in doubt costs nothing",
        "tasks/providers/openai/twice.py",
        "if first.spend == NOTHING:",
        "if not first.spend.calls:",
        "tests/unit/test_odd_replies.py::"
        "test_first_answer_in_doubt_makes_the_cost_unknown_and_uses_an_attempt[unusable]",
    ),
    Mutant(
        "an order waits as its customer's service asks",
        "tasks/providers/customers.py",
        "longest_rest=_LONGEST_REST",
        "longest_rest=60.0",
        "tests/unit/test_odd_replies.py::test_order_does_not_wait_for_its_customer_nor_fail_with_it[resting]",
    ),
    Mutant(
        "a page in place of a response is no response",
        "tasks/providers/openai/failures.py",
        "if is_reading and isinstance(found, Permanent) and is_page(content):",
        "if False:",
        "tests/unit/test_refusals.py::test_page_in_place_of_a_response_says_nothing_of_it",
    ),
    Mutant(
        "a key's file is read once",
        "tasks/providers/openai/model.py",
        "key = partial(_key_in, settings)",
        'key = partial(str, "sk-1")',
        "tests/unit/test_model_key_file.py::test_new_key_in_the_file_is_used_by_the_next_call",
    ),
)

OF_PACE = (
    *_OF_LAW,
    *_OF_GATE,
    *_OF_OUTAGES,
    *_OF_MODEL,
    Mutant(
        "a misconfigured job is attempted again",
        "askonce/execute.py",
        'Configuration if why.ends_as == "configuration" else Transient',
        "Transient",
        "tests/unit/test_park_for.py::test_misconfigured_job_that_may_not_be_parked_ends[0.0]",
    ),
    of_script(
        "a late proposal replaces a newer state",
        "propose",
        "~= ARGV[1] then return 0 end",
        "== nil then return 0 end",
        "tests/contract/test_boards.py::test_proposal_replaces_the_version_that_was_seen_only",
    ),
)
