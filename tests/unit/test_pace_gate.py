import signal
import threading
from threading import Thread

import pytest

from askonce.errors import Configuration, Postponed, Transient
from askonce.pace import Pace, gate, judge
from askonce.pace.gate import PATIENCE
from askonce.pace.member import IDLE, REPORT_KEPT
from tests.deadlines import eventually, stretched
from tests.unit.gated import callers, raising, real_pace


def test_calls_begin_in_the_order_in_which_they_came(processes):
    pace = processes.start(first=1.0, is_fixed=True)
    turn = pace.begin("first")
    with callers(*((pace, f"job-{number}") for number in range(4))) as waiting:
        for each in waiting:
            assert [True] * len(pace._queue) == [not other.is_done for other in waiting if other.turn is None]
            pace.end(turn, "answered")
            turn = each.get()
        pace.end(turn, "answered")

    assert (0, 0) == (pace.open, len(pace._queue))


def test_no_more_calls_are_open_than_the_share(processes):
    pace = processes.start(first=4.0, is_fixed=True)
    with callers(*((pace, f"job-{number}") for number in range(6))) as waiting:
        assert [True] * 4 + [False] * 2 == [each.is_done for each in waiting]
        assert 4 == pace.open

        pace.end(waiting[0].turn, "answered")

        assert waiting[4].get()
        assert (4, False) == (pace.open, waiting[5].is_done)


def test_call_that_would_wait_too_long_is_parked_at_once(processes):
    pace = processes.start(first=1.0, is_fixed=True)

    def send(_turn):
        processes.ticks.now += 60.0

    pace.call("slow", send)
    turn = pace.begin("open")
    with callers((pace, "waits")):
        with pytest.raises(Postponed) as parked:
            pace.begin("too many")
        assert ("waiting_for_turn", "transient") == (parked.value.reason, parked.value.ends_as)
        assert parked.value.retry_after >= 1.0
        pace.end(turn, "answered")


def test_call_waits_no_longer_than_its_patience(processes):
    pace = processes.start(first=1.0, is_fixed=True)
    pace.begin("open")
    with callers((pace, "waits")) as [waiting]:
        processes.exchange(after=PATIENCE - 0.1)
        assert not waiting.is_done
        processes.exchange(after=0.1)

        with pytest.raises(Postponed, match="waiting_for_turn"):
            waiting.get()


def test_calls_begin_no_faster_than_the_rate(processes):
    pace = processes.start(ceiling=2.0)
    pace.end(pace.begin("one"), "answered")
    with callers((pace, "two")) as [waiting]:
        processes.exchange(after=0.4)
        assert not waiting.is_done
        processes.exchange(after=0.1)

        pace.end(waiting.get(), "answered")


def test_faster_rate_shortens_the_wait_of_a_slower_one(processes):
    pace = processes.start()
    slow = {"starting": False, "full": (processes.ticks.now, 0)}
    processes.follow(rate=0.05, **slow)
    pace.end(pace.begin("one"), "answered")
    assert pace._places.wait_left(processes.ticks.now) > 10

    processes.follow(rate=10.0, **slow)

    assert 0 < pace._places.wait_left(processes.ticks.now) < 0.2


@pytest.mark.parametrize("configuration", [False, True])
def test_call_during_a_rest_is_parked_until_its_end(processes, configuration):
    pace = processes.start()
    until = processes.ticks.now + 30
    processes.look_back(until=until, configuration=configuration, reason="no_credit")

    with pytest.raises(Postponed) as parked:
        pace.begin("job")

    assert ("no_credit", "configuration" if configuration else "transient") == (
        parked.value.reason,
        parked.value.ends_as,
    )
    assert 30 <= parked.value.retry_after < 31


def test_share_of_a_process_that_was_killed_comes_back(processes):
    killed, other = processes.start(first=4.0, is_fixed=True), processes.start(first=4.0, is_fixed=True)
    for number in range(4):
        killed.begin(f"job-{number}")
    processes.exchange()
    assert 0 == other._member.share.limit

    processes.exchange(other, after=REPORT_KEPT)

    assert 4 == other._member.share.limit


def test_process_keeps_its_share_while_a_call_is_under_way(processes, started):
    pace = processes.start()
    turn = pace.begin("long")
    processes.ticks.now += IDLE + 1
    assert pace._member._is_used()

    pace.end(turn, "answered")
    # A process wants for a moment longer what it wanted last.
    processes.ticks.now += 2
    assert not pace._member._is_used()
    pace.end(pace.begin("next"), "answered")

    assert 2 == len(started)


def test_calls_of_before_an_outage_take_no_place_of_the_look(processes):
    pace = processes.start(first=3.0, is_fixed=True)
    stragglers = [pace.begin(f"old-{number}") for number in range(3)]
    processes.look_back()
    with callers((pace, "new")) as [waiting]:
        processes.exchange(after=0.5)
        probe = waiting.get()
        for each in stragglers:
            pace.end(each, "replied")

        assert (True, 1) == (probe.is_probe, pace.open)
        assert processes.paces[0].state.rest
        pace.end(probe, "answered")

    assert (0, None) == (pace.open, pace.state.rest)


def test_one_call_of_all_processes_looks_if_the_provider_is_back(processes):
    paces = [processes.start() for _ in range(4)]
    processes.look_back()
    with callers(*((pace, f"job-{number}") for pace in paces for number in range(2))) as waiting:
        for _ in range(4):
            processes.exchange(after=0.5)
        begun = eventually(lambda: [each for each in waiting if each.is_done])
        assert [True] == [each.turn.is_probe for each in begun]
        [one] = begun

        one.pace.end(one.turn, "refused", "overloaded")
        processes.exchange(after=0.5)
        assert 2 == paces[0].state.rest.times
        for _ in range(4):
            processes.exchange(after=0.5)

        others = eventually(lambda: [each for each in waiting if each.turn and each is not one])
        assert [True] == [each.turn.is_probe for each in others]


def test_look_that_is_answered_lets_the_others_in(processes, heard):
    paces = [processes.start() for _ in range(2)]
    processes.look_back()
    with callers(*((pace, "job") for pace in paces)) as waiting:
        processes.exchange(after=0.5)
        processes.exchange()
        looking = eventually(lambda: [each for each in waiting if each.is_done])
        assert 1 == len(looking)
        [one] = looking
        one.pace.end(one.turn, "answered")
        processes.exchange(after=0.5)
        processes.exchange()

        assert all(each.get() for each in waiting)
    assert ["provider.back"] == heard.names


def test_processes_tell_once_that_the_provider_went_away(processes, heard):
    paces = [processes.start(cure_of=lambda reason: f"mend {reason}") for _ in range(3)]
    for pace in paces:
        with pytest.raises(Postponed, match="invalid_key"):
            pace.call("job", raising(Configuration("invalid_key")))

    processes.exchange(after=0.5)
    processes.exchange(after=0.5)

    [away] = heard.named("provider.away")
    assert ("host model", "invalid_key", "mend invalid_key") == tuple(
        away.data[name] for name in ("provider", "reason", "cure")
    )


class TimeOver(Exception):
    """As a soft time limit raises it, in the main thread and wherever that is."""


@pytest.fixture
def interrupt():
    """Raise TimeOver in the main thread once a condition holds."""

    def time_over(*_):
        raise TimeOver

    before = signal.signal(signal.SIGUSR1, time_over)

    def start(condition):
        def wait():
            eventually(condition)
            signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)

        Thread(target=wait, daemon=True).start()

    yield start
    signal.signal(signal.SIGUSR1, before)


def test_time_limit_in_the_wait_leaves_no_one_behind_it(processes, interrupt):
    pace = processes.start(first=1.0, is_fixed=True)
    turn = pace.begin("open")
    interrupt(lambda: pace._queue)

    with pytest.raises(TimeOver):
        pace.begin("waits")

    assert 0 == len(pace._queue)
    pace.end(turn, "answered")
    pace.end(pace.begin("next"), "answered")


def test_time_limit_while_a_failure_is_judged_frees_its_place(processes, interrupt, monkeypatch):
    monkeypatch.setattr(judge, "_JUDGED_WITHIN", stretched(20))
    pace = real_pace(processes)
    interrupt(lambda: pace._judge._met._calls)

    with pytest.raises(TimeOver):
        pace.call("job", raising(Transient("unavailable")))

    assert 0 == pace.open


def test_store_that_is_down_is_told_once_and_calls_go_on(processes, heard):
    pace = processes.start()
    before = pace.state.at
    processes.boards.is_down = True

    for _ in range(3):
        pace.call("job", lambda _turn: None)
        processes.exchange(after=0.5)

    assert ["pace.alone"] == heard.names
    assert {"reason": "TimeoutError"} == dict(heard[0].data)
    processes.boards.is_down = False
    processes.exchange(after=0.5)
    assert before < processes.start().state.at
    processes.boards.is_down = True
    processes.exchange(pace, after=0.5)
    assert ["pace.alone"] * 2 == heard.names


def test_process_alone_follows_what_its_own_calls_meet(processes):
    pace = processes.start()
    processes.boards.is_down = True
    for _ in range(3):
        pace.end(pace.begin("job"), "misconfigured", "invalid_key")
        pace._member.share.rest_until = 0.0

    processes.exchange(after=0.5)

    with pytest.raises(Postponed) as parked:
        pace.begin("job")
    assert ("invalid_key", "configuration") == (parked.value.reason, parked.value.ends_as)


def test_what_a_process_learned_reaches_those_that_start_later(processes):
    pace = processes.start()

    pace.remember("form", "text")
    processes.exchange(after=0.5)

    assert {"form": "text"} == processes.start().state.remembered


def test_report_that_the_store_did_not_take_is_made_again(processes, monkeypatch):
    pace = processes.start()
    pace.remember("form", "text")
    with monkeypatch.context() as lost:
        lost.setattr(processes.boards, "propose", lambda *_: False)
        processes.exchange(after=0.5)
    pace.call("job", lambda _turn: None)

    processes.exchange(after=0.5)
    processes.exchange(after=0.5)

    assert ({"form": "text"}, 1) == (pace.state.remembered, pace.state.accepted)


@pytest.mark.parametrize("note", [b"{", b"[]", b'{"number": {}}', b'{"wanted": -1}', b"\xff"])
def test_garbage_on_the_board_stops_no_exchange(processes, note):
    processes.boards.exchange("service", "other", note, 60.0)
    processes.boards.propose("service", 0, note)

    pace = processes.start()
    pace.call("job", lambda _turn: None)
    processes.exchange(after=0.5)

    assert 1 == pace.state.accepted


def test_first_call_of_a_process_waits_for_what_the_others_know(processes, monkeypatch):
    monkeypatch.setattr(gate, "_FIRST_SHARE", stretched(20))
    other = processes.start()
    processes.look_back(until=processes.ticks.now + 30)
    monkeypatch.undo()
    monkeypatch.setattr(gate, "_FIRST_SHARE", stretched(20))
    fresh = Pace(processes.boards, other._member._provider, clock=processes.ticks)

    with pytest.raises(Postponed, match="overloaded"):
        fresh.begin("job")
    # Its thread ends: nobody calls any more.
    processes.ticks.now += IDLE + 1
    fresh._member.report_soon()
    eventually(lambda: not fresh._member._thread)
