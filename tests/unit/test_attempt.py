from dataclasses import replace

import pytest

from askonce.attempt import current_attempt
from askonce.errors import Transient
from askonce.execution import Computed, Deferred, Failed
from askonce.record import Answer

MARKER = "hunter2-of-ana-souza"


class OddMistake(Exception):
    """Something that a body did not foresee."""


def test_body_knows_its_attempt(scene):
    asked = scene.ask()
    seen = []

    executed = scene.work(lambda: seen.append(current_attempt()))

    [attempt] = seen
    assert (attempt.key, attempt.job, attempt.number, attempt.stale, attempt.reference) == (
        asked.key,
        asked.job,
        1,
        None,
        "",
    )
    assert attempt.fence == executed.result.fence


def test_code_outside_a_body_has_no_attempt(scene):
    scene.answered()

    with pytest.raises(LookupError):
        current_attempt()


def test_body_has_no_attempt_left_after_it_failed(scene, raising):
    scene.ask()
    scene.work(raising(OddMistake()))

    with pytest.raises(LookupError):
        current_attempt()


def test_refreshing_body_sees_the_stale_answer(scene):
    scene.stale()
    scene.ask()
    seen = []

    scene.work(lambda: seen.append(current_attempt().stale))

    assert (seen[0].value, seen[0].source) == (scene.answer, "stale")


def test_takeover_sees_the_reference_that_the_stalled_run_left(scene, running):
    scene.ask()
    running(lambda body: scene.work(lambda: [current_attempt().checkpoint("resp_7"), body()]))
    scene.clock.advance(scene.spec.lease)

    seen = []
    scene.work(lambda: seen.append(current_attempt().reference))

    assert seen == ["resp_7"]


def test_next_attempt_sees_the_reference_of_the_one_that_failed(scene):
    scene.ask()
    seen = []

    def body():
        seen.append(current_attempt().reference)
        current_attempt().checkpoint(f"resp_{current_attempt().number}")
        raise Transient("timeout")

    for _ in range(2):
        scene.work(body)
        scene.clock.advance(scene.spec.retry.cap)

    assert seen == ["", "resp_1"]


def test_store_that_is_away_at_a_checkpoint_does_not_cost_the_call(scene):
    scene.ask()
    failing = scene.fail_on("checkpoint")

    executed = scene.work(lambda: [current_attempt().checkpoint("resp_7"), scene.answer][1])

    assert failing.calls == 1
    assert isinstance(executed, Computed)
    assert scene.read().value is not None


def test_fenced_body_may_checkpoint_without_harm(scene, running):
    scene.ask()
    late = running(lambda body: scene.work(lambda: [body(), current_attempt().checkpoint("old")]))
    scene.clock.advance(scene.spec.lease)
    scene.work()

    assert isinstance(late.finish(), Computed)
    assert scene.read().checkpoint == ""


def test_fence_rises_with_every_run(scene):
    fences = []
    for _ in range(3):
        scene.answered(body=lambda: fences.append(current_attempt().fence))
        scene.clock.advance(scene.spec.soft_ttl)

    assert fences == sorted(set(fences))
    assert len(fences) == 3


def test_mistake_in_a_body_is_retried_and_named_by_type_and_place_only(scene, raising):
    scene.ask()
    line = raising(OddMistake(MARKER))

    executed = scene.work(line)

    assert isinstance(executed, Deferred)
    assert executed.reason == f"OddMistake@conftest.py:{line.__code__.co_firstlineno + 1}"


def test_mistake_in_a_body_may_have_been_billed(scene, raising):
    scene.ask()
    scene.work(raising(OddMistake()))

    [event] = scene.heard.named("job.deferred")
    assert event.data["maybe_billed"] is True


def test_interrupted_body_ends_the_process_and_leaves_the_job_to_its_lease(scene, raising):
    scene.ask()

    with pytest.raises(KeyboardInterrupt):
        scene.work(raising(KeyboardInterrupt()))

    assert scene.read().flight == "running"


@pytest.mark.parametrize(
    "value",
    [{"at": object()}, {"rate": float("nan")}, {"blob": b"raw"}, {1: "a"}],
    ids=["object", "nan", "bytes", "key"],
)
def test_answer_without_a_json_form_fails_for_good_and_nothing_is_kept(scene, value):
    scene.ask()

    executed = scene.work(lambda: value)

    assert isinstance(executed, Failed)
    assert (executed.kind, executed.reason) == ("permanent", "value_invalid")
    assert scene.read().value is None


@pytest.mark.parametrize(("limit", "kind"), [(14, Computed), (13, Failed)])
def test_answer_larger_than_the_task_allows_fails_for_good_and_nothing_is_kept(scene, limit, kind):
    scene.use(scene.store, replace(scene.spec, max_value_bytes=limit))
    scene.ask()

    executed = scene.work()

    assert isinstance(executed, kind)
    if kind is Failed:
        assert (executed.kind, executed.reason) == ("permanent", "value_invalid")
        assert scene.read().value is None


def test_answer_that_was_unusable_leaves_the_earlier_one_alone(scene):
    scene.stale()
    scene.ask()
    scene.work(object)

    assert scene.read().value.data == b'j{"rate":5.25}'


BODIES = {
    "answers": lambda: {"secret": MARKER},
    "falls back": lambda: Answer(value={"secret": MARKER}, source="default"),
    "makes a mistake": lambda: {}[MARKER],
    "answers too much": lambda: MARKER * (1 << 20),
    "answers what has no form": lambda: {MARKER},
    "is refused": lambda: (_ for _ in ()).throw(Transient("http_503")),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_no_event_and_no_outcome_without_an_answer_quotes_payload_or_answer(scene, body):
    asked = scene.ask({"currency": MARKER, "day": MARKER})
    executed = scene.work(body)
    scene.ask({"currency": MARKER, "day": MARKER})
    scene.ask({"currency": MARKER, "day": f"{MARKER}-2"})

    assert len(scene.heard) >= 4
    assert MARKER not in repr(scene.heard)
    if not isinstance(executed, Computed):
        assert MARKER not in repr(executed)
    assert MARKER not in repr(asked.handle)


def test_stale_answer_in_a_foreign_codec_does_not_cost_the_run(scene):
    asked = scene.stale()
    scene.store._records[asked.key].value.data = b"?written elsewhere"
    again = scene.ask()

    executed = scene.work()

    assert isinstance(executed, Computed)
    assert again.result(0).value == scene.answer
