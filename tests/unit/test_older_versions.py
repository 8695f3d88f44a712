from dataclasses import replace

import pytest

from askonce.controls import Mark
from askonce.errors import Permanent, ResultTimeout, StoreUnavailable
from askonce.outcomes import Admitted, Attached, Hit
from askonce.spec import JobSpec

OTHER = {"currency": "EUR", "day": "2026-11-20"}


@pytest.fixture
def rolled(scene):
    """An answer of version 1, and a task of version 2 that serves it."""
    scene.answered()
    scene.use(scene.store, replace(scene.spec, version="2", serves_versions=("1",)))
    return scene


def test_first_caller_of_a_new_version_gets_the_old_answer_and_the_job_goes_on(rolled):
    first, second = rolled.ask(), rolled.ask()

    assert (Admitted, Attached) == (type(first), type(second))
    for outcome in (first, second):
        assert ("stale", rolled.answer) == (outcome.stale.source, outcome.stale.value)
        assert rolled.answer == outcome.result(30, fresh_within=0).value
        with pytest.raises(ResultTimeout):
            outcome.result(0)

    rolled.work(lambda: {"rate": 6.0})
    assert {"rate": 6.0} == first.result(0).value
    assert ("cache", {"rate": 6.0}) == (rolled.ask().answer.source, rolled.ask().answer.value)


def test_task_that_serves_no_other_version_waits(scene):
    scene.answered()
    scene.use(scene.store, replace(scene.spec, version="2"))

    assert scene.ask().stale is None


def test_other_payload_and_other_tenant_get_nothing_of_it(rolled):
    other_day = {**rolled.question, "day": "2026-11-21"}

    assert rolled.ask(OTHER).stale is None
    assert rolled.ask(tenant="shop").stale is None
    # It has the same key, and is another payload.
    assert rolled.ask(other_day).stale is None


def test_answer_that_is_not_kept_any_more_is_not_served(rolled):
    rolled.clock.advance(rolled.spec.hard_ttl)

    assert rolled.ask().stale is None


def test_newest_version_that_has_an_answer_is_served(scene):
    for version, rate in (("1", 1.0), ("2", 2.0)):
        scene.use(scene.store, replace(scene.spec, version=version))
        scene.answered(body=lambda rate=rate: {"rate": rate})
    scene.use(scene.store, replace(scene.spec, version="4", serves_versions=("3", "2", "1")))

    assert {"rate": 2.0} == scene.ask().stale.value


def test_failure_of_the_new_version_is_not_hidden_by_the_old_answer(rolled, raising):
    asked = rolled.ask()
    rolled.work(raising(Permanent("http_400")))

    assert "permanent" == rolled.ask().failure.kind
    with pytest.raises(Exception, match="http_400"):
        asked.result(0)


@pytest.mark.parametrize("when", ["answered", "queued", "running"])
def test_answer_that_was_invalidated_does_not_come_back_from_an_older_version(rolled, when):
    asked = rolled.ask()
    if when == "answered":
        rolled.work(lambda: {"rate": 6.0})
    if when == "running":
        rolled.work(lambda: rolled.store.invalidate(asked.key) and {"rate": 6.0})
    else:
        rolled.store.invalidate(asked.key)

    first, second = rolled.ask(), rolled.ask()

    assert (None, None) == (first.stale, second.stale)
    with pytest.raises(ResultTimeout):
        second.result(0.01, fresh_within=0)
    # Also while its job runs.
    rolled.work(lambda: {"rate": 7.0} if rolled.ask().stale is None else pytest.fail("it came back"))
    assert {"rate": 7.0} == rolled.ask().answer.value


def test_older_version_made_since_the_invalidation_is_served(rolled):
    rolled.store.invalidate(rolled.ask().key)
    newer = rolled.spec
    rolled.use(rolled.store, replace(rolled.spec, version="1", serves_versions=()))
    rolled.clock.advance(1.0)
    rolled.answered(force=True)
    rolled.use(rolled.store, newer)

    assert rolled.answer == rolled.ask().stale.value


def test_version_that_was_invalidated_is_not_replaced_by_an_older_one(rolled):
    rolled.ask()
    rolled.work(lambda: {"rate": 6.0})
    rolled.store.controls.mark(Mark("version", rolled.spec.name, "2"))

    assert rolled.ask().stale is None


def test_invalidated_version_leaves_older_answers_to_payloads_that_it_never_answered(rolled):
    rolled.store.controls.mark(Mark("version", rolled.spec.name, "2"))

    assert rolled.answer == rolled.ask().stale.value


def test_doubtful_answer_is_not_replaced_by_an_older_one(rolled, raising):
    rolled.ask()
    rolled.work(lambda: {"rate": 6.0})
    asked = rolled.ask(force=True)
    rolled.work(raising(Permanent("http_400")))

    assert asked.handle._last_good() is None


def test_group_reads_older_answers_in_one_round_trip(rolled, monkeypatch):
    rolled.use(rolled.store, replace(rolled.spec, version="1", serves_versions=()))
    rolled.answered(OTHER)
    rolled.use(rolled.store, replace(rolled.spec, version="2", serves_versions=("1",)))
    reads = []
    read = rolled.store.read
    monkeypatch.setattr(rolled.store, "read", lambda keys: reads.append(len(keys)) or read(keys))
    rows = [rolled.question, OTHER, {**OTHER, "currency": "USD"}]

    outcomes = rolled.producer.enqueue_many(rolled.spec, rows)

    assert [6] == reads
    assert [True, True, False] == [outcome.stale is not None for outcome in outcomes]


def test_hit_reads_nothing_else(rolled, monkeypatch):
    rolled.ask()
    rolled.work()
    monkeypatch.setattr(rolled.store, "read", lambda _keys: pytest.fail("the store was read"))

    assert isinstance(rolled.ask(), Hit)


def test_store_that_is_down_for_the_old_answer_costs_no_job(rolled, monkeypatch):
    def down(_keys):
        raise StoreUnavailable(verb="read", reason="TimeoutError")

    monkeypatch.setattr(rolled.store, "read", down)

    assert (Admitted, None) == (type(outcome := rolled.ask()), outcome.stale)


@pytest.mark.parametrize("versions", ["1", ["1"], (1,), ("2",), ("1\n",)])
def test_versions_that_cannot_be_older_ones_are_refused_by_name(versions):
    with pytest.raises(ValueError, match="serves_versions"):
        JobSpec(version="2", serves_versions=versions)
