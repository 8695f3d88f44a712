"""What a row reports beside its answer: the cost, the counts, the attempts, the age."""

import json
from dataclasses import asdict, replace

import pytest

from askonce.answer import Answer
from askonce.errors import JobFailed, Permanent, ResultTimeout, SendFailed, Transient
from askonce.spec import RetryPolicy
from askonce.spend import Spend
from producer.run.report import Report, settle

COST = ("cost_usd", "usage", "attempts", "age")


def settled(scene, body, *, again=False):
    """Settle a report with what one job came to."""
    report = Report(row=1, status="admitted", asked="attached" if again else "admitted")
    asked = scene.answered(body=body)
    settle(report, scene.ask().answer if again else asked.result(0), "" if again else asked.job)
    return report


def test_row_reports_what_its_answer_cost(scene):
    report = settled(scene, lambda: Answer(value=1, cost_usd=0.000213, usage={"input_tokens": 7}))

    assert (report.cost_usd, report.usage, report.attempts) == (0.000213, {"input_tokens": 7}, 1)
    assert report.age >= 0


def test_row_reports_all_calls_of_its_answer(scene):
    both = Spend(usage={"n": 4}, cost_usd=0.5, calls=2)
    answer = Answer(value=1, cost_usd=0.5, usage={"n": 4}, calls=2, paid=both)

    assert settled(scene, lambda: answer).calls == 2


def test_row_of_a_kept_answer_costs_nothing_and_reports_what_it_avoids(scene):
    report = settled(scene, lambda: Answer(value=1, cost_usd=0.5, usage={"n": 2}), again=True)

    assert (report.source, report.attempts) == ("cache", 1)
    assert (report.cost_usd, report.usage, report.calls, report.avoided_usd) == (0.0, {}, 0, 0.5)


def test_cost_that_is_unknown_is_null_and_never_zero(scene):
    printed = json.loads(json.dumps(asdict(settled(scene, lambda: 1))))

    assert (printed["cost_usd"], printed["usage"]) == (None, {})


MALFORMED = {"usage": {"n": 1}, "cost_usd": 0.125}


@pytest.mark.parametrize(
    ("error", "cost", "calls"),
    [
        (Transient("malformed_answer", **MALFORMED), 0.125, 1),
        (Transient("http_503"), 0.0, 0),
        (Transient("timeout", maybe_billed=True), None, 1),
    ],
)
def test_row_of_a_stale_answer_costs_what_its_own_job_paid_after_it(scene, raising, error, cost, calls):
    scene.use(scene.store, replace(scene.spec, retry=RetryPolicy(max_attempts=1)))
    scene.answered(body=lambda: Answer(value=1, cost_usd=0.5))
    scene.clock.advance(60)

    report = settled(scene, raising(error))

    assert (report.source, report.result) == ("stale", 1)
    assert (report.cost_usd, report.calls, report.avoided_usd) == (cost, calls, None)


def test_row_of_a_stale_answer_has_no_known_cost_while_its_job_goes_on(scene, raising):
    scene.answered(body=lambda: Answer(value=1, cost_usd=0.5))
    scene.clock.advance(60)

    report = settled(scene, raising(Transient("malformed_answer", **MALFORMED)))

    assert (report.source, report.cost_usd) == ("stale", None)


def test_row_of_a_stale_substitute_costs_what_its_job_paid(scene):
    paid = Spend(calls=0, cost_usd=0.0)
    substitute = Answer(value=1, source="stale", paid=paid, caused=paid)

    report = settled(scene, lambda: substitute)

    assert (report.source, report.cost_usd, report.calls) == ("stale", 0.0, 0)


def test_row_without_an_answer_reports_none_of_them():
    report = Report(row=1, status="admitted")

    assert [getattr(report, name) for name in COST] == [None] * 4


@pytest.mark.parametrize("attempts", [1, 3])
def test_failed_row_reports_its_attempts(attempts):
    report = Report(row=1, status="admitted")

    settle(report, JobFailed(key="k", job="j", kind=Permanent.kind, reason="refused", attempts=attempts), "j")

    assert (report.attempts, report.cost_usd, report.usage) == (attempts, None, {})


@pytest.mark.parametrize(
    ("job", "cost", "calls"), [("own", None, None), ("another", 0.0, 0)], ids=["own", "another's"]
)
def test_row_of_a_start_that_goes_on_may_still_pay_for_a_job_of_its_own(job, cost, calls):
    report = Report(row=1, status="attached", asked="attached", job=job)

    settle(report, ResultTimeout(key="k", state="running", waited_seconds=1.0), "own")

    assert (report.cost_usd, report.calls) == (cost, calls)


def test_row_whose_message_was_refused_may_be_paid_for_later():
    report = Report(row=1, status="")

    settle(report, SendFailed(key="k", job="own"), "own")

    assert ("unavailable", None, None) == (report.status, report.cost_usd, report.calls)
