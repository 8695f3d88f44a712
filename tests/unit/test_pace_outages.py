"""What the processes of one call a time learn of each other while a provider goes away."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from askonce.errors import CallFailed, Postponed, Transient
from askonce.pace import Pace, judge
from tests.deadlines import eventually, stretched
from tests.unit.gated import Processes


@pytest.fixture
def processes(monkeypatch, heard):
    """Processes whose threads are the test; no call waits long for what others meet."""
    monkeypatch.setattr("askonce.pace.member.start_thread", lambda *_: threading.current_thread())
    monkeypatch.setattr(judge, "_JUDGED_WITHIN", 0.05)
    return Processes(heard)


@pytest.fixture
def new_pace(processes):
    """Start a process on the real clock, by which its calls wait."""

    def start():
        pace = Pace(processes.boards, processes.add()._member._provider)
        processes.paces[-1] = pace
        pace._member.exchange()
        return pace

    return start


def failure(pace, job, reason):
    def send(_turn):
        raise Transient(reason, maybe_billed=reason != "unavailable")

    with pytest.raises(CallFailed) as raised:
        pace.call(job, send)
    return raised.value


def answer(pace, job):
    assert pace.call(job, lambda _turn: "answer") == "answer"


def test_refusal_without_a_reason_judges_the_calls_of_another_process(processes, new_pace):
    one, other = new_pace(), new_pace()

    alone = failure(one, "job-1", "unavailable")
    processes.exchange()

    assert isinstance(alone, Transient)
    assert isinstance(failure(other, "job-2", "unavailable"), Postponed)


def test_processes_of_one_call_leave_a_provider_alone_that_refuses_all(processes, new_pace, monkeypatch):
    monkeypatch.setattr(judge, "_JUDGED_WITHIN", stretched(10))
    one, other = new_pace(), new_pace()

    with ThreadPoolExecutor() as workers:
        refused = [workers.submit(failure, pace, f"{pace}", "unavailable") for pace in (one, other)]
        # Each has told that it was refused before it knows that the others are refused too.
        eventually(lambda: one._member.counts.refused and other._member.counts.refused)
        processes.exchange()
        processes.exchange()
        assert [Postponed] * 2 == [type(each.result()) for each in refused]
    processes.exchange()

    assert one.state.rest is not None
    assert "unavailable" == one.state.rest.reason


def test_refusal_that_may_be_one_jobs_own_is_reported_with_its_reason(processes, new_pace):
    pace = new_pace()

    failure(pace, "job-1", "unavailable")

    assert (1, "unavailable") == (pace._member.counts.refused, pace._member.counts.reason)


def test_second_job_in_turn_that_is_refused_without_a_reason_waits(new_pace):
    pace = new_pace()

    assert isinstance(failure(pace, "job-1", "unavailable"), Transient)
    assert isinstance(failure(pace, "job-2", "unavailable"), Postponed)


def test_refusal_that_was_told_early_is_counted_once(new_pace):
    pace = new_pace()

    failure(pace, "job-1", "unavailable")
    failure(pace, "job-2", "unavailable")

    assert 2 == pace._member.counts.refused


@pytest.mark.parametrize("reason", ["connection_lost", "gateway_gave_up"])
def test_calls_of_several_jobs_that_nobody_answers_send_the_provider_away(processes, new_pace, reason):
    one, other = new_pace(), new_pace()

    lost = [failure(pace, job, reason) for pace, job in ((one, "a"), (other, "b"), (one, "c"))]
    processes.exchange()

    assert {Transient} == {type(each) for each in lost}
    rest = other.state.rest
    assert rest is not None
    assert (reason, True, False) == (rest.reason, rest.probing, rest.configuration)


def test_job_that_breaks_its_connections_alone_stops_nobody(processes, new_pace):
    pace = new_pace()

    for _ in range(5):
        failure(pace, "job", "connection_lost")
        processes.exchange()

    assert pace.state.rest is None
    answer(pace, "other")


def test_lost_call_among_answered_ones_stops_nobody(processes, new_pace):
    pace = new_pace()

    for number in range(5):
        failure(pace, f"lost-{number}", "connection_lost")
        answer(pace, f"good-{number}")
        processes.exchange()

    assert pace.state.rest is None


def test_calls_that_fail_during_an_exchange_stop_the_next_call_all_the_same(processes, monkeypatch):
    pace, exchange = processes.start(), processes.boards.exchange

    def exchange_while_calls_fail(*args):
        monkeypatch.setattr(processes.boards, "exchange", exchange)
        seen = exchange(*args)
        for number in range(3):
            pace.end(pace.begin(f"job-{number}"), "misconfigured", "invalid_key")
        return seen

    monkeypatch.setattr(processes.boards, "exchange", exchange_while_calls_fail)
    processes.exchange()

    with pytest.raises(Postponed):
        pace.look()
    processes.exchange(after=0.5)
    assert "invalid_key" == pace.state.rest.reason


def test_failures_are_told_at_once_although_a_plain_report_waits_to_be_taken(processes):
    pace = processes.start()
    began = [pace.begin(f"job-{number}") for number in range(3)]
    processes.exchange()
    for turn in began:
        pace.end(turn, "misconfigured", "invalid_key")
    pace._member._soon.clear()

    processes.exchange()

    assert pace._member._soon.is_set()
    processes.exchange()
    assert "invalid_key" == pace.state.rest.reason
