from dataclasses import replace
from itertools import count

import pytest

from askonce.answer import Answer
from askonce.errors import LayoutNewer, Permanent, RecordDamaged, SendFailed, StoreUnavailable, Transient
from askonce.spec import RetryPolicy
from producer import batch
from producer.batch import Batch, Report, _settle
from producer.client import Client
from tasks.rows import BadRow, Row

FOUR = [{"currency": name, "day": "2026-11-20"} for name in ("BRL", "EUR", "BRL", "USD")]


@pytest.fixture
def submit(scene):
    """Submit payloads; workers, where there are any, do all of the sent messages before the wait."""

    def run(payloads, *, body=None, wait=None, **options):
        client = client_of(scene)
        rows = [
            each if isinstance(each, BadRow) else Row(number=n, payload=each)
            for n, each in numbered(payloads)
        ]
        clock = working(scene, body) if body else count().__next__
        return list(
            Batch(client=client, task=scene.spec.name, wait=wait, options=options, clock=clock).run(rows)
        )

    return run


def client_of(scene):
    return Client(specs={scene.spec.name: scene.spec}, store=scene.store, producer=scene.producer)


def numbered(payloads):
    return enumerate(payloads, start=1)


def working(scene, body):
    """A clock whose first look makes the workers do everything."""
    ticks = count()

    def clock():
        if next(ticks) == 0:
            for number in range(len(scene.sender.sent)):
                scene.work(body, number)
        return 0.0

    return clock


def test_every_row_is_reported_in_order_with_what_it_met(scene, submit):
    reports = submit(FOUR)

    assert [(r.row, r.status) for r in reports] == [
        (1, "admitted"),
        (2, "admitted"),
        (3, "attached"),
        (4, "admitted"),
    ]
    assert all(r.ok and r.key and r.job for r in reports)
    assert reports[0].job == reports[2].job
    assert len(scene.sender.sent) == 3


def test_bad_rows_are_reported_in_place_and_the_rest_goes_on(submit):
    reports = submit(
        [FOUR[0], BadRow(number=2, field="n", reason="given twice"), {"x": float("nan")}, FOUR[1]]
    )

    assert [r.status for r in reports] == ["admitted", "invalid", "invalid", "admitted"]
    assert reports[1].error == {"kind": "invalid", "field": "n", "reason": "given twice"}
    assert reports[2].error == {"kind": "invalid", "field": "x", "reason": "NaN and infinity are not JSON"}
    assert not reports[1].ok


def test_every_equal_row_gets_its_answer(scene, submit):
    reports = submit(FOUR, body=lambda: scene.answer, wait=30.0)

    assert [(r.row, r.status, r.asked) for r in reports] == [
        (1, "done", "admitted"),
        (2, "done", "admitted"),
        (3, "done", "attached"),
        (4, "done", "admitted"),
    ]
    assert [(r.result, r.source) for r in reports] == [(scene.answer, "call")] * 4


def test_fresh_answer_is_a_hit_or_done_after_waiting(scene, submit):
    scene.answered(FOUR[0])

    [asked] = submit(FOUR[:1])
    [waited] = submit(FOUR[:1], wait=30.0)

    assert (asked.status, asked.result, asked.source) == ("hit", scene.answer, "cache")
    assert (waited.status, waited.asked, waited.result) == ("done", "hit", scene.answer)


def test_failed_row_names_its_reason_and_the_rest_goes_on(scene, submit):
    failing = iter([Permanent("http_404")])

    def body():
        for error in failing:
            raise error
        return scene.answer

    reports = submit(FOUR[:2], body=body, wait=30.0)

    assert [r.status for r in reports] == ["failed", "done"]
    assert reports[0].error == {"kind": "permanent", "reason": "http_404", "attempts": 1}


def test_timed_out_row_reports_its_state(submit):
    [report] = submit(FOUR[:1], wait=0.0)

    assert (report.status, report.error["kind"], report.error["state"]) == ("timeout", "timeout", "queued")


def test_fallback_is_an_answer_with_its_source(submit):
    [report] = submit(FOUR[:1], body=lambda: Answer(value=None, source="default"), wait=30.0)

    assert (report.status, report.source, report.ok) == ("done", "default", True)


def test_stored_failure_is_reported_without_a_message(scene, submit, raising):
    scene.answered(FOUR[0], raising(Permanent("http_404")))
    scene.sender.sent.clear()

    [report] = submit(FOUR[:1], wait=30.0)

    assert (report.status, report.error) == ("negative", {"kind": "permanent", "reason": "http_404"})
    assert scene.sender.sent == []


def test_resting_key_is_reported_with_its_wait(scene, submit, raising):
    scene.use(scene.store, replace(scene.spec, retry=RetryPolicy(max_attempts=1, on_give_up="backoff")))
    scene.answered(FOUR[0], raising(Transient("http_503")))

    [report] = submit(FOUR[:1], wait=30.0)

    assert report.status == "backoff"
    assert report.error == {"kind": "transient", "reason": "backoff", "wait_seconds": 5.0}


def test_resting_key_returns_its_stale_answer(scene, submit, raising):
    scene.use(scene.store, replace(scene.spec, retry=RetryPolicy(max_attempts=1, on_give_up="backoff")))
    scene.answered(FOUR[0])
    scene.clock.advance(60)
    scene.answered(FOUR[0], raising(Transient("http_503")))

    [report] = submit(FOUR[:1], wait=30.0)

    assert (report.ok, report.source, report.result) == (True, "stale", scene.answer)


def test_conflict_is_reported_without_a_job(scene, submit):
    scene.use(scene.store, replace(scene.spec, on_mismatch="conflict"))
    scene.answered(FOUR[0])

    [report] = submit([{**FOUR[0], "day": "2026-11-21"}])

    assert (report.status, report.job, report.error["kind"]) == ("conflict", None, "conflict")


def test_duplicate_is_reported_with_on_duplicate_reject(submit):
    reports = submit([FOUR[0], FOUR[2]], on_duplicate="reject")

    assert [r.status for r in reports] == ["admitted", "duplicate"]
    assert reports[1].error["kind"] == "duplicate"


def test_corrected_row_supersedes_the_one_before_it(scene, submit):
    corrected = {**FOUR[0], "day": "2026-11-21"}

    reports = submit([FOUR[0], corrected], body=lambda: scene.answer, wait=30.0)

    assert [r.status for r in reports] == ["superseded", "done"]


@pytest.mark.parametrize("trouble", [SendFailed, StoreUnavailable])
def test_trouble_is_raised_after_the_reports_of_earlier_rows(scene, trouble):
    scene.sender.refuses = trouble is SendFailed
    if trouble is StoreUnavailable:
        scene.fail_on("admit")
    bad = BadRow(number=1, field="n", reason="given twice")
    rows = [bad, Row(number=2, payload=FOUR[0]), Row(number=3, payload=FOUR[1])]

    reports = Batch(client=client_of(scene), task=scene.spec.name).run(rows)

    assert [(r.row, r.status) for r in (next(reports), next(reports))] == [(1, "invalid"), (2, "unavailable")]
    with pytest.raises(trouble):
        next(reports)


def test_window_bounds_what_is_under_way(scene, submit, monkeypatch):
    monkeypatch.setattr(batch, "WINDOW", 2)
    read = []

    def rows():
        for number in range(1, 6):
            read.append(number)
            yield Row(number=number, payload={"currency": f"C{number}"})

    client = client_of(scene)
    reports = Batch(client=client, task=scene.spec.name).run(rows())

    assert next(reports).row == 1
    assert read == [1, 2]
    assert [report.row for report in reports] == [2, 3, 4, 5]


def test_waiting_rows_are_reported_before_trouble_is_raised(scene):
    client = client_of(scene)
    client = replace(client, store=scene.fail_on("read"))
    running = Batch(client=client, task=scene.spec.name, wait=0.5).run(
        [Row(number=1, payload=FOUR[0]), Row(number=2, payload=FOUR[1])]
    )

    assert [(next(running).status) for _ in range(2)] == ["unavailable"] * 2
    with pytest.raises(StoreUnavailable):
        next(running)


UNREADABLE = [RecordDamaged(key="k", reason="wrong_type"), LayoutNewer(verb="admit", key="k")]


@pytest.mark.parametrize("error", UNREADABLE, ids=repr)
def test_row_whose_record_becomes_unreadable_while_it_waits_costs_no_other_row(error):
    one, other = Report(row=1, status="admitted"), Report(row=2, status="admitted")

    _settle(one, error)

    assert ("unreadable", {"kind": "unreadable", "reason": str(error)}) == (one.status, one.error)
    assert "admitted" == other.status


@pytest.mark.parametrize("error", UNREADABLE, ids=repr)
def test_row_whose_record_is_unreadable_costs_no_other_row(scene, submit, error):
    scene.fail_on("admit", times=1, error=error)

    reports = submit(FOUR[:2])

    assert [r.status for r in reports] == ["unreadable", "admitted"]
    assert reports[0].error == {"kind": "unreadable", "reason": str(error)}
