"""Many processes begin to call at once: together they make no more calls than one would."""

from contextlib import ExitStack
from itertools import count

import pytest

from askonce.pace import gate
from askonce.pace.law import adjusted
from askonce.pace.returns import Returns
from askonce.pace.shares import place_of, share_of_limit
from askonce.pace.state import Report, State
from tests.deadlines import eventually
from tests.unit.gated import Processes, callers
from tests.unit.paced import Course


@pytest.fixture
def processes(monkeypatch, heard):
    """Processes whose exchanges are the test's."""
    monkeypatch.setattr("askonce.pace.member.start_thread", lambda *_: None)
    monkeypatch.setattr(gate, "_FIRST_SHARE", 0.01)
    return Processes(heard)


def begun(waiting):
    return [each for each in waiting if each.is_done]


def idle(processes, *, but=()):
    """Return the reports of so many *processes* that want no call."""
    names = [f"{number:02}" for number in range(processes)]
    return {name: Report(wanted=dict(but).get(name, 0)) for name in names}


@pytest.mark.parametrize("limit", [3, 16, 64, 200])
@pytest.mark.parametrize("busy", [(), (("05", 2),), (("05", 2), ("40", 40))], ids=len)
def test_limit_is_divided_also_among_those_that_want_nothing(limit, busy):
    reports, state = idle(64, but=busy), State(limit=limit)

    shares = {who: share_of_limit(state, who, reports) for who in reports}

    assert limit == sum(shares.values())
    assert all(shares[who] >= min(wanted, limit * wanted // 42) for who, wanted in busy)


def test_process_alone_has_the_whole_limit_before_it_wants_it():
    assert 16 == share_of_limit(State(limit=16.0), "a", {"a": Report()}, is_paced=True)


def test_many_processes_that_begin_at_once_do_not_take_the_limit_each(processes):
    paces = [processes.start(first=4.0) for _ in range(64)]
    processes.exchange()
    with callers(*((pace, f"job-{number}") for number, pace in enumerate(paces))) as waiting:
        processes.exchange(after=0.01)
        processes.exchange(after=0.01)

        # Those that asked first cannot know of the others: about 15.
        assert 4 <= len(begun(waiting)) < 32


def test_processes_that_begin_together_begin_one_after_the_other(processes, monkeypatch):
    names = (f"{number:02}" for number in count())
    monkeypatch.setattr("askonce.pace.member.token_hex", lambda _: next(names))
    paces = [processes.start() for _ in range(16)]
    now = processes.ticks.now
    processes.follow(rate=10.0, limit=64.0, starting=False, full=(now, 0), marks=[(now, 0)])
    for pace in paces:
        # No thread calls: a place that a call took meanwhile would hide when it was free.
        pace._arriving = 1

    processes.exchange(after=0.01)
    firsts = sorted(pace._places.wait_left(processes.ticks.now) for pace in paces)

    # The first of all begins at once, the last one after 1.5 s.
    assert all(left >= 0.1 * place - 0.11 for place, left in enumerate(firsts))


def test_new_processes_begin_one_after_the_other_under_a_ceiling(processes, monkeypatch):
    names = (f"{number:02}" for number in count())
    monkeypatch.setattr("askonce.pace.member.token_hex", lambda _: next(names))
    paces = [processes.add(first=8.0, ceiling=1.0) for _ in range(8)]
    for pace in paces:
        # A call waits until it is known what the others do.
        pace._arriving = 1

    processes.exchange()

    assert list(range(8)) == [pace._places.wait_left(processes.ticks.now) for pace in paces]


def test_places_of_those_that_want_calls_differ():
    reports = idle(8, but=(("01", 1), ("04", 3), ("06", 1)))

    assert [0, 1, 2] == [place_of(who, reports) for who in ("01", "04", "06")]


def test_idle_process_tells_the_others_that_it_wants_a_call(processes):
    one, other = processes.start(), processes.start()
    processes.follow(rate=10.0, limit=64.0, starting=False, full=(processes.ticks.now, 0))
    one._member._soon.clear()

    with ExitStack() as stack:
        [waiting] = stack.enter_context(callers((one, "job")))
        assert one._member._soon.is_set()
        assert not waiting.is_done
        processes.exchange(one)

        assert eventually(lambda: waiting.is_done)
    assert other.open == 0


def test_call_that_waits_for_its_first_share_is_wanted(processes, monkeypatch):
    pace = processes.start()
    seen = []
    monkeypatch.setattr(pace._happened, "wait", lambda _seconds: seen.append(pace._wanted()))

    pace._clock.now += 100.0
    pace.end(pace.begin("job"), "answered")

    assert [1] == seen


def test_plain_answers_are_told_when_the_state_is_old_only(processes, monkeypatch):
    paces = [processes.start(first=64.0) for _ in range(8)]
    processes.exchange(after=0.5)
    proposed, propose = [], processes.boards.propose
    monkeypatch.setattr(processes.boards, "propose", lambda *args: proposed.append(1) or propose(*args))
    for pace in paces:
        pace.call("job", lambda _turn: None)

    processes.exchange(after=0.5)

    assert 1 == len(proposed)
    processes.exchange(after=0.5)
    assert 8 == paces[0].state.accepted


def test_refusals_of_one_job_in_two_processes_are_its_own_trouble(processes):
    one, other = processes.start(), processes.start()
    with one._lock:
        one._member.counts.refuse("bad", "unavailable")
    processes.exchange()
    processes.exchange()

    turn = other.begin("bad")
    assert not other._judge._met.before(turn)
    assert other._judge._met.before(other.begin("good"))


def test_wish_for_one_job_alone_rests_no_other():
    course = Course(marks=[(999.0, 0)], accepted=10)

    course.refuse(1, sent=20, wish=20.0, jobs=["bad"])
    assert course.state.rest is None
    course.answer(20, after=1.0)
    course.refuse(1, sent=20, wish=20.0, jobs=["bad"])
    assert course.state.rest is None

    course.answer(20, after=1.0)
    course.refuse(1, sent=20, wish=20.0, jobs=["other"])

    assert pytest.approx(20.0) == course.rest


def test_wish_that_an_older_version_tells_rests_all():
    course = Course(marks=[(999.0, 0)], accepted=10)

    course.refuse(1, sent=20, wish=20.0)

    assert pytest.approx(20.0) == course.rest


def test_answers_that_can_be_used_again_are_not_limited():
    course = Course(limit=1e9, is_fixed=True, few=3)
    course.meet(sent=3, misconfigured_now=3, refused=3, reason="answers_unusable")
    assert course.state.rest.probing

    course.meet(after=10.0, sent=1, answered=1, cured=True)

    assert (None, 1e9) == (course.state.rest, course.state.limit)


def test_limit_that_an_older_version_lowered_for_good_is_raised(processes):
    seen = processes.boards.exchange("service", "test", b"", 1.0)
    lowered = State(limit=2.0, is_fixed=True, at=processes.ticks.now)
    assert processes.boards.propose("service", seen.version, lowered.encode())

    pace = processes.start(first=1e9, is_fixed=True)

    assert 1e9 == pace.state.limit


def test_jobs_of_a_fast_provider_come_back_as_fast():
    returns = Returns()
    last = max(returns.after(0.0, 0.0, 0.002, elsewhere=0) for _ in range(20_000))

    # 500 a second, twice as fast at most: the provider needs 40 s.
    assert 15.0 < last < 45.0


def test_law_names_the_job_it_knows_last():
    reports = {"a": Report(number=1, sent=9, refused=1, refused_now=1, wish=5.0, jobs=["j"], reason="r")}
    state = State(limit=4.0, at=0.0, marks=[(0.0, 0)])

    after = adjusted(state, 1.0, reports)

    assert (1.0, "j") == after.refused_job
    assert after == State.decode(after.encode())
