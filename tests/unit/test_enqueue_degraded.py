from dataclasses import replace

import pytest

from askonce.answer import Answer
from askonce.errors import Permanent, Postponed, ResultTimeout, StoreUnavailable
from askonce.execution import Computed, Delivery, Failed, Reused, Skipped
from askonce.outcomes import Admitted
from askonce.record import REASON_KEPT_FOR
from producer.run.report import Report, add_outcome, settle


@pytest.fixture
def scene(scene):
    """A producer whose broker is another server than the store, which does not answer."""
    scene.fail_on("admit")
    scene.producer = replace(scene.producer, sends_alone=True)
    return scene


def come_back(scene):
    """Let the store answer again."""
    scene.failing[0].left = 0


def answered_before(scene, answer):
    """Let an earlier job have made *answer*."""
    come_back(scene)
    scene.answered(body=lambda: answer)
    scene.failing[0].left = 10**9


def test_message_is_sent_without_the_store_and_degraded(scene):
    asked = scene.ask()

    assert (type(asked), asked.degraded) == (Admitted, True)
    [message] = scene.sender.sent
    assert (message.job.id, message.job.key, message.admitted) == (asked.job, asked.key, False)
    [event] = scene.heard
    assert (event.name, dict(event.data)) == ("job.degraded", {"policy": "defer", "source": "none"})


def test_caller_gets_the_answer_when_the_store_is_back(scene):
    asked = scene.ask()
    scene.failing[0].left = 0
    with pytest.raises(ResultTimeout):
        asked.result(0)
    scene.work()

    assert asked.result(0).value == scene.answer


@pytest.mark.parametrize(
    "options",
    [
        {"force": True},
        {"max_age": 5.0},
        {"on_duplicate": "reject"},
        {"tenant": "acme"},
        {"run": "night"},
        {"countdown": 5},
        {"expires": 5},
        {"headers": {"trace": "1"}},
        {"time_limit": 5},
    ],
    ids=lambda options: next(iter(options)),
)
def test_payload_with_options_of_the_record_is_not_sent(scene, options):
    with pytest.raises(StoreUnavailable):
        scene.ask(**options)

    assert scene.sender.sent == []


@pytest.mark.parametrize("change", ["policy", "broker"])
def test_nothing_is_sent_against_the_policy_or_on_one_server(scene, change):
    if change == "policy":
        scene.spec = replace(scene.spec, on_store_down="fail")
    else:
        scene.producer = replace(scene.producer, sends_alone=False)

    with pytest.raises(StoreUnavailable):
        scene.ask()

    assert scene.sender.sent == []


def test_broker_that_is_down_too_raises(scene):
    scene.sender.refuses = True

    with pytest.raises(StoreUnavailable):
        scene.ask()


def test_caller_gets_no_answer_from_before_that_is_too_old(scene):
    answered_before(scene, {"rate": 1.0})
    scene.clock.advance(scene.spec.soft_ttl)
    asked = scene.ask()
    come_back(scene)

    with pytest.raises(ResultTimeout):
        asked.result(0)
    scene.work()

    assert asked.result(0).value == scene.answer


def test_caller_waits_for_its_own_payload_where_the_key_has_an_older_one(scene):
    answered_before(scene, {"rate": 1.0})
    asked = scene.ask({**scene.question, "day": "2026-11-21"})
    come_back(scene)

    with pytest.raises(ResultTimeout):
        asked.result(0)
    scene.work()

    assert asked.result(0).value == scene.answer


def reports_of(scene, *own_jobs):
    """Ask once for each of *own_jobs* without the store; return what settles the report of each."""
    reports = [Report(row=number, status="") for number, _ in enumerate(own_jobs, start=1)]
    asked = [scene.ask(job=job) for job in own_jobs]
    for report, outcome, job in zip(reports, asked, own_jobs, strict=True):
        add_outcome(report, outcome, job, waits=True)
    come_back(scene)

    def settled():
        for report, outcome, job in zip(reports, asked, own_jobs, strict=True):
            settle(report, outcome.result(0), job)
        return reports

    return settled


def test_rows_that_were_sent_without_the_store_cost_what_one_call_cost(scene):
    settled = reports_of(scene, "own-1", "own-2")
    for message in scene.sender.sent[::-1]:
        delivery = Delivery(spec=scene.spec, job=message.job)
        scene.runner.admit_and_run(delivery, lambda: Answer(value=1, cost_usd=0.5))

    reports = settled()

    assert [(r.cost_usd, r.avoided_usd, r.degraded) for r in reports] == [(0.0, 0.5, True), (0.5, None, True)]


def test_row_that_was_sent_without_the_store_costs_nothing_where_the_answer_was_there(scene):
    answered_before(scene, Answer(value=1, cost_usd=0.5))

    [report] = reports_of(scene, "own")()

    assert (report.source, report.cost_usd, report.calls, report.avoided_usd) == ("cache", 0.0, 0, 0.5)


def delivered(scene, body=lambda: Answer(value=1), number=0):
    """Run a message that was sent without the store, as its worker does."""
    message = scene.sender.sent[number]
    delivery = Delivery(spec=scene.spec, job=message.job, drawn=message.drawn)
    return scene.runner.admit_and_run(delivery, body)


def test_copy_of_a_message_makes_no_call_however_old_the_answer_is(scene):
    scene.ask()
    come_back(scene)
    first = delivered(scene)
    scene.clock.advance(scene.spec.soft_ttl)

    copy = delivered(scene)

    assert (Computed, Reused) == (type(first), type(copy))
    assert ("cache", 1) == (copy.result.source, copy.result.value)


@pytest.mark.parametrize("chosen", [{"job": "nightly"}, {}], ids=["chosen", "drawn"])
def test_new_request_makes_a_call_where_the_answer_is_too_old(scene, chosen):
    for number in range(2):
        scene.failing[0].left = 10**9
        scene.ask(**chosen)
        come_back(scene)
        assert isinstance(delivered(scene, number=number), Computed)
        scene.clock.advance(scene.spec.soft_ttl)


def test_copy_of_a_message_that_failed_for_good_fails_in_the_same_way(scene, raising):
    scene.ask()
    come_back(scene)
    delivered(scene, raising(Permanent("http_404")))

    copy = delivered(scene)

    assert (Failed, "http_404") == (type(copy), copy.reason)


@pytest.mark.parametrize(("after", "ended"), [(0, Failed), (REASON_KEPT_FOR, Skipped)])
def test_copy_of_a_message_whose_job_was_cancelled_makes_no_call(scene, raising, after, ended):
    scene.ask()
    come_back(scene)
    delivered(scene, raising(Postponed("overloaded")))
    scene.store.cancel(scene.sender.sent[0].job.key)
    scene.clock.advance(after)

    assert isinstance(delivered(scene), ended)


def test_copy_of_a_message_runs_the_job_that_is_not_over(scene, raising):
    scene.ask()
    come_back(scene)
    delivered(scene, raising(Postponed("overloaded")))
    scene.clock.advance(10)

    assert isinstance(delivered(scene), Computed)
