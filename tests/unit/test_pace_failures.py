from threading import Barrier, Thread

import pytest

from askonce.errors import CallFailed, Permanent, Postponed, Transient
from askonce.pace import Allowance, judge, met
from tests.deadlines import stretched
from tests.unit.gated import callers, raising, real_pace


@pytest.fixture
def quick(monkeypatch):
    """Let no call wait long for what others meet."""
    monkeypatch.setattr(judge, "_JUDGED_WITHIN", 0.05)


def test_refusal_is_parked_and_holds_back_its_process_at_once(processes):
    pace = processes.start()

    with pytest.raises(Postponed) as parked:
        pace.call("job", raising(Postponed("rate_limited", retry_after=20.0)))
    assert parked.value.retry_after >= 20

    with pytest.raises(Postponed):
        pace.begin("next")


@pytest.mark.parametrize("wish", ["soon", float("nan"), float("inf"), True, -5, 10**400])
def test_wish_that_is_none_neither_stops_a_report_nor_keeps_a_place(processes, wish):
    pace = processes.start()

    with pytest.raises(Postponed) as parked:
        pace.call("job", raising(Postponed("rate_limited", retry_after=wish)))
    processes.exchange(after=0.5)

    assert 1.0 <= parked.value.retry_after <= 86_401
    assert (0, 1) == (pace.open, pace.state.epoch)


def test_headers_that_cannot_be_stop_no_report(processes):
    pace = processes.start()

    def send(turn):
        turn.allowance = Allowance(1e300, 1e300, float("inf"))

    pace.call("job", send)
    processes.exchange(after=0.5)

    assert 1 == pace.state.accepted


def test_failure_tells_nothing_of_what_it_came_from(processes):
    pace = processes.start()

    def send(_turn):
        raise Postponed("rate_limited") from RuntimeError("said by the provider")

    with pytest.raises(Postponed) as parked:
        pace.call("job", send)

    assert (None, None) == (parked.value.__cause__, parked.value.__context__)


@pytest.mark.usefixtures("quick")
def test_unpaid_failure_of_one_job_alone_is_an_attempt(processes):
    pace = real_pace(processes)

    for _ in range(3):
        with pytest.raises(CallFailed) as raised:
            pace.call("job", raising(Transient("unavailable")))
        assert Transient is raised.type

    assert 0 == pace.open


@pytest.mark.usefixtures("quick")
def test_unpaid_failure_is_an_attempt_where_others_are_answered(processes):
    pace = real_pace(processes)
    for end in ("refused", "answered"):
        pace.end(pace.begin("other"), end, "unavailable")
        pace._member.share.rest_until = 0.0

    with pytest.raises(Transient, match="unavailable"):
        pace.call("job", raising(Transient("unavailable")))


@pytest.mark.usefixtures("quick")
def test_answer_to_a_call_of_before_a_refusal_judges_it_not(processes):
    pace = real_pace(processes)

    def send(_turn):
        other = pace.begin("other")
        pace.end(pace.begin("another"), "refused", "unavailable")
        # The service took it before it went away.
        pace.end(other, "answered")
        raise Transient("unavailable")

    with pytest.raises(CallFailed) as raised:
        pace.call("job", send)
    assert Postponed is raised.type


@pytest.mark.usefixtures("quick")
def test_refusal_of_a_call_that_began_earlier_judges_one_under_way(processes, monkeypatch):
    monkeypatch.setattr(met.Met, "before", lambda *_: False)
    pace = real_pace(processes)
    other = pace.begin("other")

    def send(_turn):
        pace.end(other, "refused", "unavailable")
        raise Transient("unavailable")

    with pytest.raises(CallFailed) as raised:
        pace.call("job", send)
    assert Postponed is raised.type


def test_unpaid_failures_of_two_jobs_are_refusals(processes):
    pace, meeting, ended = real_pace(processes), Barrier(2), []

    def send(_turn):
        meeting.wait(stretched(10))
        raise Transient("unavailable")

    def call(subject):
        try:
            pace.call(subject, send)
        except CallFailed as error:
            ended.append(error)

    threads = [Thread(target=call, args=(subject,)) for subject in "ab"]
    for each in threads:
        each.start()
    for each in threads:
        each.join(stretched(10))

    assert [(Postponed, "unavailable")] * 2 == [(type(each), each.reason) for each in ended]
    assert 0 == pace.open


@pytest.mark.usefixtures("quick")
def test_refusal_of_long_ago_judges_no_other_call(processes, monkeypatch):
    monkeypatch.setattr(met, "_JUDGED_BY", 0.0)
    pace = real_pace(processes)
    pace.end(pace.begin("other"), "refused", "rate_limited")
    pace._member.share.rest_until = 0.0

    with pytest.raises(CallFailed) as raised:
        pace.call("job", raising(Transient("unavailable")))
    assert Transient is raised.type


def test_look_that_fails_unpaid_is_refused_without_others(processes):
    pace = processes.start()
    processes.look_back()
    with callers((pace, "job")) as [waiting]:
        processes.exchange(after=0.5)
        probe = waiting.get()

        assert isinstance(pace._failed(probe, Transient("unavailable")), Postponed)


@pytest.mark.parametrize(
    "error",
    [
        Transient("connection_lost", maybe_billed=True),
        Transient("truncated", usage={"input_tokens": 1}),
        Transient("timeout"),
        Permanent("invalid_request"),
    ],
    ids=lambda error: error.reason,
)
def test_failure_that_is_the_jobs_own_is_raised_as_it_is(processes, error):
    pace = processes.start()

    with pytest.raises(type(error)) as raised:
        pace.call("job", raising(error))

    assert (raised.value is error, pace.open) == (True, 0)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, ValueError])
def test_place_of_a_call_that_anything_ends_is_free(processes, stop):
    pace = processes.start(first=1.0, is_fixed=True)

    with pytest.raises(stop):
        pace.call("job", raising(stop()))

    assert 0 == pace.open
    pace.end(pace.begin("next"), "answered")


def test_turn_that_ends_twice_frees_one_place(processes):
    pace = processes.start()
    turn, _ = pace.begin("one"), pace.begin("two")

    pace.end(turn, "answered")
    pace.end(turn, "unknown")

    assert 1 == pace.open
