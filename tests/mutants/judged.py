"""Guards of the judge of calls: what an end says of the provider, and what is one job's own trouble."""

from tests.mutants.mutant import Mutant

JUDGE, MET = "askonce/pace/judge.py", "askonce/pace/met.py"
FAILURES = "tests/unit/test_pace_failures.py::"
OUTAGES = "tests/unit/test_pace_outages.py::"
OWN_TROUBLE = "tests/unit/test_pace_own_trouble.py::"
OF_MET = "tests/unit/test_pace_met.py::"

OF_JUDGED = (
    Mutant(
        "a job that fails alone is parked",
        JUDGE,
        "                    return False\n",
        "                    return True\n",
        f"{FAILURES}test_unpaid_failure_of_one_job_alone_is_an_attempt",
    ),
    Mutant(
        "an answer of before an outage makes a refusal an attempt",
        JUDGE,
        "self._met.after(turn, refused_at)",
        "self._met.after(turn, turn.begun)",
        f"{FAILURES}test_answer_to_a_call_of_before_a_refusal_judges_it_not",
    ),
    Mutant(
        "only a refused call that began later says that others are refused",
        JUDGE,
        "self._met.refused(now, turn.subject)",
        "self._met.refused(turn.begun, turn.subject)",
        f"{FAILURES}test_refusal_of_a_call_that_began_earlier_judges_one_under_way",
    ),
    Mutant(
        "a refusal right after another one waits for what comes",
        JUDGE,
        "if self._met.before(turn):",
        "if False:",
        "tests/unit/test_pace_outages.py::test_second_job_in_turn_that_is_refused_without_a_reason_waits",
    ),
    Mutant(
        "what one call was wished stops its process",
        JUDGE,
        "min(max(wish, 1.0), REST_WHILE_ACCEPTED)",
        "max(wish, 1.0)",
        "tests/unit/test_pace_own_trouble.py::test_wish_of_a_day_for_one_job_rests_its_process_for_a_minute",
    ),
    Mutant(
        "an outage uses the attempts of all jobs",
        JUDGE,
        "            return are_refused\n",
        "            return False\n",
        f"{FAILURES}test_unpaid_failures_of_two_jobs_are_refusals",
    ),
    Mutant(
        "each process learns by itself that nobody is answered",
        JUDGE,
        "            self._member.counts.refuse(turn.subject, reason)\n            self._member.report",
        "            self._member.report",
        f"{OUTAGES}test_refusal_without_a_reason_judges_the_calls_of_another_process",
    ),
    Mutant(
        "connections that break say nothing",
        JUDGE,
        "        self._member.counts.lost_now += 1\n",
        "",
        f"{OUTAGES}test_calls_of_several_jobs_that_nobody_answers_send_the_provider_away[connection_lost]",
    ),
    Mutant(
        "one job that breaks its connections stops all",
        JUDGE,
        "(turn.subject in self._lost and not turn.is_probe)",
        "False",
        f"{OUTAGES}test_job_that_breaks_its_connections_alone_stops_nobody",
    ),
    Mutant(
        "a look of a job in trouble is no news",
        JUDGE,
        "0.0 if turn.is_probe else self._met.own_rest(turn.subject)",
        "self._met.own_rest(turn.subject)",
        f"{OF_MET}test_look_of_a_job_with_trouble_of_its_own_is_news_of_the_provider",
    ),
    Mutant(
        "a job that is refused each time stops all",
        MET,
        "if not is_alone or times < _IS_NEWS:",
        "if True:",
        f"{OWN_TROUBLE}test_job_that_is_refused_each_time_stops_no_others",
    ),
    Mutant(
        "the first refusal of a job is no news",
        MET,
        "if not is_alone or times < _IS_NEWS:",
        "if not is_alone:",
        f"{OWN_TROUBLE}test_job_that_is_refused_each_time_stops_no_others",
    ),
    Mutant(
        "jobs that are all refused are each alone",
        MET,
        "self._answered - until_then >= _OTHERS",
        "True",
        f"{OWN_TROUBLE}test_jobs_that_are_all_refused_are_news_of_the_provider",
    ),
    Mutant(
        "answers between two refusals are forgotten",
        MET,
        "self._answered if is_alone else until_then",
        "self._answered",
        f"{OF_MET}test_answers_between_the_refusals_of_a_job_add_up",
    ),
    Mutant(
        "a job with trouble of its own rests equally long",
        MET,
        "2.0 ** min(times - _IS_NEWS, 10)",
        "1.0",
        f"{OWN_TROUBLE}test_job_that_is_refused_each_time_rests_longer_each_time",
    ),
    Mutant(
        "a job with trouble of its own rests for an hour",
        MET,
        "10), _LONGEST_REST)",
        "10), 3600.0)",
        f"{OF_MET}test_job_with_trouble_of_its_own_rests_five_minutes_at_most",
    ),
    Mutant(
        "an answer leaves the trouble of its job",
        MET,
        "        self._refused.pop(turn.subject, None)\n",
        "",
        f"{OWN_TROUBLE}test_job_that_was_answered_has_no_trouble_of_its_own",
    ),
    Mutant(
        "calls outside of a job are one job",
        MET,
        "if not subject:",
        "if False:",
        f"{OF_MET}test_calls_of_no_job_have_no_trouble_of_their_own",
    ),
    Mutant(
        "each refused job is known for good",
        MET,
        "if len(self._refused) > _KNOWN:",
        "if False:",
        f"{OWN_TROUBLE}test_no_more_than_some_refused_jobs_are_known",
    ),
    Mutant(
        "each call is known for good",
        MET,
        "deque(maxlen=64)",
        "deque()",
        f"{OF_MET}test_no_more_than_some_calls_are_known",
    ),
    Mutant(
        "a job is judged by its own calls",
        MET,
        "if who != subject and",
        "if",
        f"{OF_MET}test_call_is_not_judged_by_its_own_job",
    ),
    Mutant(
        "a refusal of long ago judges a call",
        MET,
        "since = turn.begun - _JUDGED_BY",
        "since = 0.0",
        f"{FAILURES}test_refusal_of_long_ago_judges_no_other_call",
    ),
    Mutant(
        "a call that began earlier judges at once",
        MET,
        "self._last(turn.subject, turn.begun, refused_at)",
        "self._last(turn.subject, 0.0, refused_at)",
        f"{OF_MET}test_call_that_began_earlier_decides_only_where_no_later_one_does",
    ),
    Mutant(
        "the first call of others decides",
        MET,
        "return others[-1] if others",
        "return others[0] if others",
        f"{OF_MET}test_call_is_judged_by_the_last_call_of_another_job",
    ),
    Mutant(
        "an answer of another job says nothing",
        MET,
        "turn.subject, False))",
        "turn.subject, True))",
        f"{OF_MET}test_call_is_judged_by_the_last_call_of_another_job",
    ),
    Mutant(
        "a refusal in another process says nothing",
        "askonce/pace/gate.py",
        "if refused_elsewhere:",
        "if False:",
        f"{OUTAGES}test_refusal_without_a_reason_judges_the_calls_of_another_process",
    ),
)
