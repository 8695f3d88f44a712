import pytest

from askonce.runs import FACTS_KEPT, HELD_AT_MOST, NAME_KEPT, RUN_KEPT, RUNS_KEPT, Hold, RunRecord

# One suite for every store: who runs which batch, and how far it is.

TTL = 15.0
FACTS = {"rows": 1000, "done": 10, "cost_usd": 0.25, "output": "out.jsonl"}


@pytest.fixture
def runs(scene):
    return scene.store.runs


@pytest.fixture
def hold(runs):
    def hold(name="night", holder="a:7", ttl=TTL, task="orders", facts=FACTS):
        return runs.hold(name, holder, ttl, task, facts)

    return hold


def test_held_run_is_shown_with_all_that_its_producer_said(scene, runs, hold):
    began = float(scene.clock())

    taken = hold()
    scene.clock.advance(5)

    record = RunRecord(
        name="night",
        task="orders",
        holder="a:7",
        state="running",
        started=began,
        updated=began,
        alive=True,
        facts=FACTS,
    )
    assert Hold(taken=True, holder="a:7", seconds=TTL) == taken
    assert (record, [record]) == (runs.get("night"), runs.list())


def test_second_producer_of_a_run_is_told_who_has_it(scene, runs, hold):
    hold()
    scene.clock.advance(5)

    refused = hold(holder="b:8", facts={"rows": 1})

    assert Hold(taken=False, holder="a:7", seconds=TTL - 5) == refused
    assert ("a:7", FACTS) == (runs.get("night").holder, runs.get("night").facts)


def test_renewed_run_goes_on(scene, runs, hold):
    began = float(scene.clock())
    for done in range(4):
        assert hold(facts={"done": done}).taken
        scene.clock.advance(TTL - 1)

    record = runs.get("night")

    assert (began, True, {"done": 3}) == (record.started, record.alive, record.facts)


def test_run_of_a_dead_producer_is_free_exactly_at_its_time(scene, runs, hold):
    hold()
    scene.clock.advance(TTL - 0.001)
    before = hold(holder="b:8").taken
    scene.clock.advance(0.001)
    left = runs.get("night")

    assert (False, "running", False) == (before, left.state, left.alive)
    assert hold(holder="b:8").taken
    assert ("b:8", float(scene.clock())) == (runs.get("night").holder, runs.get("night").started)
    assert not runs.release("night", "a:7", "done", {})
    assert not hold().taken


def test_ended_run_is_kept_and_free(scene, runs, hold):
    hold()
    scene.clock.advance(3)

    released = runs.release("night", "a:7", "done", {"rows": 2}), runs.release("day", "a:7", "done", {})
    record = runs.get("night")

    assert (True, False) == released
    assert ("done", False, float(scene.clock()), {"rows": 2}) == (
        record.state,
        record.alive,
        record.updated,
        record.facts,
    )
    assert hold(holder="b:8").taken
    assert "running" == runs.get("night").state


def test_producer_is_asked_to_stop_by_its_next_renewal(runs, hold):
    before = hold().stop
    asked = runs.ask_to_stop("night", "ana: too dear")

    assert ("", True, "ana: too dear", "ana: too dear") == (
        before,
        asked,
        hold().stop,
        runs.get("night").stop,
    )
    assert "ana: too dear" == hold().stop


def test_nobody_is_asked_to_stop_where_no_producer_lives(scene, runs, hold):
    hold()
    scene.clock.advance(TTL)

    assert [False, False] == [runs.ask_to_stop("night", "x"), runs.ask_to_stop("day", "x")]


def test_new_producer_of_a_run_is_not_asked_what_its_last_one_was(runs, hold):
    hold()
    runs.ask_to_stop("night", "x" * 1000)
    long = hold().stop
    runs.release("night", "a:7", "cancelled", {})

    assert ("x" * NAME_KEPT, "") == (long, hold(holder="b:8").stop)


def test_wish_without_words_is_one(runs, hold):
    hold()
    runs.ask_to_stop("night", "")

    assert hold().stop


def test_runs_are_listed_by_their_last_change(scene, runs, hold):
    for name in ("a", "b", "c", "a"):
        hold(name)
        scene.clock.advance(1)
    runs.release("b", "a:7", "stopped", {})

    assert ["b", "a", "c"] == [record.name for record in runs.list()]


def test_runs_are_bounded_and_the_last_changed_stay(scene, runs, hold):
    for number in range(RUNS_KEPT + 3):
        hold(f"run-{number:04}", facts={})
        scene.clock.advance(0.001)

    names = [record.name for record in runs.list()]

    assert (RUNS_KEPT, f"run-{RUNS_KEPT + 2:04}", "run-0003") == (len(names), names[0], names[-1])
    assert runs.get("run-0002") is None


def test_old_run_is_forgotten(scene, runs, hold):
    hold()
    runs.release("night", "a:7", "done", {})
    scene.clock.advance(RUN_KEPT)

    assert ([], None, None) == (runs.list(), runs.get("night"), runs.get(""))


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"name": ""}, "name of a run must be 1 to"),
        ({"name": "n" * (NAME_KEPT + 1)}, "name of a run must be 1 to"),
        ({"name": "a\x1b[2J"}, "name of a run must be 1 to"),
        ({"holder": "a\n"}, "holder of a run must be 1 to"),
        ({"task": ""}, "task of a run must be 1 to"),
        ({"ttl": 0.0}, "a run is held for more than 0"),
        ({"ttl": HELD_AT_MOST + 1}, "a run is held for more than 0"),
        ({"ttl": float("nan")}, "a run is held for more than 0"),
        ({"facts": {"text": "x" * FACTS_KEPT}}, "bytes, and 4096 are kept"),
        ({"facts": {"row": {"n": 1}}}, "the fact 'row' of a run must be a number or a text"),
        ({"facts": {"ok": True}}, "the fact 'ok' of a run must be a number or a text"),
    ],
)
def test_hold_that_cannot_be_kept_is_refused(runs, hold, given, why):
    with pytest.raises(ValueError, match=why):
        hold(**given)

    assert [] == runs.list()
