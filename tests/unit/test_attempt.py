import json
import re
from asyncio import CancelledError
from dataclasses import dataclass, replace
from decimal import Decimal

import pytest

from askonce.answer import Answer, Encoded
from askonce.attempt import current_attempt
from askonce.errors import JobFailed, LayoutNewer, Transient
from askonce.execution import Computed, Deferred, Failed
from askonce.record import Status
from askonce.spend import Spend
from askonce.store import Write

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


def test_body_knows_whose_job_it_is_and_its_batch(scene):
    scene.ask(tenant="acme", run="batch-7")
    seen = []

    scene.work(lambda: seen.append(current_attempt()))

    assert [("acme", "batch-7")] == [(attempt.tenant, attempt.run) for attempt in seen]


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


@pytest.mark.parametrize("error", [None, LayoutNewer(verb="checkpoint")], ids=["down", "newer"])
def test_call_goes_on_when_a_checkpoint_finds_no_store(scene, error):
    scene.ask()
    failing = scene.fail_on("checkpoint", error=error)

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


def test_mistake_within_a_library_shows_the_line_of_the_body(scene):
    executed = scene.work(lambda: json.loads("{nope")) if scene.ask() else None

    line = test_mistake_within_a_library_shows_the_line_of_the_body.__code__.co_firstlineno + 1
    assert executed.reason == f"JSONDecodeError@test_attempt.py:{line}"


def test_mistake_in_a_body_is_retried_and_shows_type_and_place(scene, raising):
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


ENDS = [SystemExit(1), KeyboardInterrupt(), GeneratorExit(), CancelledError()]


@pytest.mark.parametrize("end", ENDS, ids=repr)
def test_body_that_is_ended_gives_its_lease_back_at_once(scene, raising, end):
    asked = scene.ask()

    with pytest.raises(type(end)) as caught:
        scene.work(raising(end))

    assert caught.value is end
    record, name = scene.read(), type(end).__name__
    assert (record.flight, record.attempts, record.failure.reason) == ("queued", 1, name)
    assert scene.deferred == [(asked.key, 5.0)]
    [event] = scene.heard.named("job.deferred")
    assert (event.data["reason"], event.data["maybe_billed"]) == (name, True)


def test_body_that_always_ends_its_process_is_quarantined(scene, raising):
    scene.ask()
    for _ in range(3):
        with pytest.raises(SystemExit):
            scene.work(raising(SystemExit(1)))
        scene.clock.advance(300)

    assert (scene.read().status, scene.read().failure.reason) == (Status.QUARANTINED, "SystemExit")


@pytest.mark.parametrize("error", [None, LayoutNewer(verb="fail"), RuntimeError("a mistake")], ids=repr)
def test_end_of_a_process_is_not_held_up_by_the_store(scene, raising, error):
    scene.ask()
    failing = scene.fail_on("fail", error=error)

    with pytest.raises(KeyboardInterrupt):
        scene.work(raising(KeyboardInterrupt()))

    assert failing.calls > 0


class Opaque:
    """A value without a JSON form, whose text would be a payload."""

    def __repr__(self):
        return MARKER


class Raising:
    """A model whose own code raises."""

    def model_dump(self, mode):
        raise RuntimeError(mode, MARKER)


@dataclass
class Row:
    name: str
    at: object


UNSTORABLE = [
    (Opaque(), "answer:Opaque", "", "Opaque"),
    ({"at": Opaque()}, "at:Opaque", "at", "Opaque"),
    ({"rows": [1, Row("a", at=Opaque())]}, "rows[1].at:Opaque", "rows[1].at", "Opaque"),
    ({"rate": float("nan")}, "rate:float", "rate", "float"),
    ({"blob": b"raw"}, "blob:bytes", "blob", "bytes"),
    ({"n": 2**64}, "n:int", "n", "int"),
    ({"text": "\ud800"}, "text:str", "text", "str"),
    ({1: "a"}, "answer:int", "", "int"),
    ({MARKER: {"x": Opaque()}}, "*.x:Opaque", "*.x", "Opaque"),
    ({"a" * 41: Opaque()}, "*:Opaque", "*", "Opaque"),
    ({"own": Raising()}, "own:Raising", "own", "Raising"),
]


@pytest.mark.parametrize(
    ("value", "place", "field", "value_type"), UNSTORABLE, ids=[u[1] for u in UNSTORABLE]
)
def test_answer_that_cannot_be_stored_shows_path_and_type(scene, value, place, field, value_type):
    asked = scene.ask()

    executed = scene.work(lambda: Answer(value=value, cost_usd=0.5))

    assert isinstance(executed, Failed)
    assert (executed.kind, executed.reason) == ("permanent", f"value_invalid@{place}")
    assert scene.read().value is None
    with pytest.raises(JobFailed, match=re.escape(place)):
        asked.result(0)
    [event] = scene.heard.named("job.failed")
    assert (event.data["field"], event.data["value_type"]) == (field, value_type)
    assert event.data["cost_usd"] == 0.5, "it was paid"
    assert MARKER not in repr(scene.heard)


@pytest.mark.parametrize(("limit", "kind"), [(14, Computed), (13, Failed)])
def test_answer_larger_than_the_limit_fails_and_is_not_kept(scene, limit, kind):
    scene.use(scene.store, replace(scene.spec, max_value_bytes=limit))
    scene.ask()

    executed = scene.work()

    assert isinstance(executed, kind)
    if kind is Failed:
        assert (executed.kind, executed.reason) == ("permanent", "value_invalid:too_large")
        assert scene.read().value is None


def test_answer_of_many_fields_deep_shows_a_short_path(scene):
    scene.ask()
    value = Opaque()
    for _ in range(60):
        value = {"deeper": value}

    assert len(scene.work(lambda: value).reason) < 150


def test_first_caller_gets_the_form_that_later_ones_get(scene):
    row = Row("ana", at=(1, Row("rui", at=None)))
    fields = {"name": "ana", "at": [1, {"name": "rui", "at": None}]}

    first = scene.call(lambda: row)

    assert (first.source, first.value) == ("call", fields)
    assert scene.call().value == fields


def test_answer_that_takes_too_much_of_everything_is_a_failure(scene, monkeypatch):
    scene.ask()

    def exhausted(*_args):
        raise MemoryError

    monkeypatch.setattr("askonce.answer.Codec.encode", exhausted)

    assert scene.work().reason == "value_invalid@answer:dict"


ODD_SPENDS = {
    "long count": ({"usage": {"tokens": 2**70, "input_tokens": 7}}, ["usage.tokens"], {"input_tokens": 7}),
    "object": ({"usage": {"details": object()}}, ["usage.details"], {}),
    "no counts": ({"usage": [1]}, ["usage"], {}),
    "name": ({"usage": {"\ud800": 1, 5: 1, "n": 2}}, ["usage"], {"n": 2}),
    "nan": ({"cost_usd": float("nan"), "usage": {"n": 2}}, ["cost_usd"], {"n": 2}),
    "text": ({"cost_usd": "0.5"}, ["cost_usd"], {}),
    "paid": ({"paid": {"cost_usd": 1}}, ["paid"], {}),
    "paid cost": ({"paid": Spend(cost_usd=-1.0, usage={"n": -1})}, ["paid.cost_usd", "paid.usage.n"], {}),
}


@pytest.mark.parametrize(("odd", "unknown", "kept"), ODD_SPENDS.values(), ids=ODD_SPENDS)
def test_answer_is_kept_and_what_is_odd_of_its_spend_is_unknown(scene, odd, unknown, kept):
    asked = scene.ask()

    executed = scene.work(lambda: Answer(value=scene.answer, **odd))

    assert executed.stored is Write.OK
    assert unknown == [event.data["field"] for event in scene.heard.named("job.spend_unknown")]
    result = asked.result(0)
    assert (result.value, result.cost_usd, dict(result.usage)) == (scene.answer, None, kept)
    assert executed.result.spend == result.spend


def test_cost_as_a_decimal_is_a_cost(scene):
    asked = scene.answered(body=lambda: Answer(value=1, cost_usd=Decimal("0.1234567")))

    assert asked.result(0).cost_usd == 0.1234567
    assert asked.result(0).spend.micro_usd == 123_457
    assert scene.heard.named("job.completed")[0].data["cost_usd"] == 0.1234567
    assert scene.heard.named("job.spend_unknown") == []


@pytest.mark.parametrize("source", ["Call", None, object(), ["call"]], ids=range(4))
def test_answer_from_no_known_source_is_a_fallback(scene, source):
    asked = scene.ask()

    scene.work(lambda: Answer(value=1, source=source))

    assert (asked.result(0).source, scene.read().value) == ("default", None)


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
def test_no_event_and_no_failure_quotes_payload_or_answer(scene, body):
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
    scene.store._records.by_key[asked.key].value.answer = Encoded(b"?written elsewhere", b"")
    again = scene.ask()

    executed = scene.work()

    assert isinstance(executed, Computed)
    assert again.result(0).value == scene.answer
