from dataclasses import replace

import pytest

from askonce.answer import Answer
from askonce.controls import Pause
from askonce.errors import LayoutNewer, Permanent, RecordDamaged, StoreUnavailable, Transient
from askonce.rows import BadRow, Row
from askonce.spec import RetryPolicy
from producer.run import ask, following
from producer.run.report import Report, settle
from tests.unit.starts import Start

FOUR = [{"currency": name, "day": "2026-11-20"} for name in ("BRL", "EUR", "BRL", "USD")]


@pytest.fixture
def submit(scene):
    """Submit payloads, and return the reports in the order of the rows."""
    return Start(scene)


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
    reports = submit(FOUR, body=lambda: scene.answer, waits=True)

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
    [waited] = submit(FOUR[:1], waits=True)

    assert (asked.status, asked.result, asked.source) == ("hit", scene.answer, "cache")
    assert (waited.status, waited.asked, waited.result) == ("done", "hit", scene.answer)


def test_failed_row_names_its_reason_and_the_rest_goes_on(scene, submit):
    failing = iter([Permanent("http_404")])

    def body():
        for error in failing:
            raise error
        return scene.answer

    reports = submit(FOUR[:2], body=body, waits=True)

    assert [r.status for r in reports] == ["failed", "done"]
    assert reports[0].error == {"kind": "permanent", "reason": "http_404", "attempts": 1}


def test_timed_out_row_reports_its_state(submit):
    [report] = submit(FOUR[:1], waits=True, timeout=0.0)

    assert (report.status, report.error["kind"], report.error["state"]) == ("timeout", "timeout", "queued")


def test_timed_out_row_says_that_a_pause_holds_it_back(scene, submit):
    scene.store.controls.pause(Pause("run", "nightly"), "ana")

    [report] = submit(FOUR[:1], waits=True, timeout=0.0)

    assert ("timeout", "paused") == (report.status, report.error["state"])


def test_fallback_is_an_answer_with_its_source(submit):
    body = lambda: Answer(value=None, source="default", reason="not_found")  # noqa: E731

    [report] = submit(FOUR[:1], body=body, waits=True)

    assert (report.status, report.source, report.ok) == ("done", "default", True)
    assert (report.source_reason, report.error) == ("not_found", None)


def test_stale_answer_says_why_there_is_no_better_one(scene, submit, raising):
    scene.answered(FOUR[0])
    submit.done = 1
    scene.clock.advance(scene.spec.soft_ttl)

    [report] = submit(FOUR[:1], body=raising(Transient("http_503")), waits=True)

    assert (report.source, report.source_reason) == ("stale", "http_503")


def test_stored_failure_is_reported_without_a_message(scene, submit, raising):
    scene.answered(FOUR[0], raising(Permanent("http_404")))
    scene.sender.sent.clear()

    [report] = submit(FOUR[:1], waits=True)

    assert (report.status, report.error) == ("negative", {"kind": "permanent", "reason": "http_404"})
    assert scene.sender.sent == []


def test_resting_key_is_reported_with_its_wait(scene, submit, raising):
    scene.use(scene.store, replace(scene.spec, retry=RetryPolicy(max_attempts=1, on_give_up="backoff")))
    scene.answered(FOUR[0], raising(Transient("http_503")))

    [report] = submit(FOUR[:1], waits=True)

    assert report.status == "backoff"
    assert report.error == {"kind": "transient", "reason": "backoff", "wait_seconds": 5.0}


def test_resting_key_returns_its_stale_answer(scene, submit, raising):
    scene.use(scene.store, replace(scene.spec, retry=RetryPolicy(max_attempts=1, on_give_up="backoff")))
    scene.answered(FOUR[0])
    scene.clock.advance(60)
    scene.answered(FOUR[0], raising(Transient("http_503")))

    [report] = submit(FOUR[:1], waits=True)

    assert (report.ok, report.source, report.result) == (True, "stale", scene.answer)


def test_conflict_is_reported_without_a_job(scene, submit):
    scene.use(scene.store, replace(scene.spec, on_mismatch="conflict"))
    scene.answered(FOUR[0])

    [report] = submit([{**FOUR[0], "day": "2026-11-21"}])

    assert (report.status, report.job, report.error["kind"]) == ("conflict", None, "conflict")


def test_duplicate_is_reported_with_on_duplicate_reject(submit):
    reports = submit([FOUR[0], FOUR[2]], options={"on_duplicate": "reject"})

    assert [r.status for r in reports] == ["admitted", "duplicate"]
    assert reports[1].error["kind"] == "duplicate"


def test_corrected_row_supersedes_the_one_before_it(scene, submit):
    corrected = {**FOUR[0], "day": "2026-11-21"}

    reports = submit([FOUR[0], corrected], body=lambda: scene.answer, waits=True)

    assert [r.status for r in reports] == ["superseded", "done"]
    assert reports[0].later_row == 2


def test_trouble_is_raised_after_the_reports_of_its_rows(scene, submit):
    scene.fail_on("admit_many")
    bad = BadRow(number=1, field="n", reason="given twice")

    with pytest.raises(StoreUnavailable):
        submit([bad, FOUR[0], FOUR[1]])

    assert [(r.row, r.status) for r in submit.reports] == [
        (1, "invalid"),
        (2, "unavailable"),
        (3, "unavailable"),
    ]


def test_row_whose_message_is_refused_is_asked_for_again_by_the_same_command(scene, submit):
    scene.sender.refuses = True

    [report] = submit(FOUR[:1], waits=True)

    assert (report.status, report.is_open) == ("unavailable", True)


def test_store_that_comes_back_in_time_is_waited_for(scene, submit, monkeypatch):
    monkeypatch.setattr(ask, "REST", 0.001)
    scene.fail_on("admit_many", times=3)

    reports = submit(FOUR, patience=60.0)

    assert [r.status for r in reports] == ["admitted", "admitted", "attached", "admitted"]


def test_waiting_rows_are_reported_before_trouble_is_raised(scene, submit):
    store = scene.fail_on("read")

    with pytest.raises(StoreUnavailable):
        submit(FOUR[:2], waits=True, timeout=0.01, store=store)

    assert [r.status for r in submit.reports] == ["unavailable"] * 2


def test_store_that_is_away_when_rows_time_out_is_waited_for(scene, submit, monkeypatch):
    monkeypatch.setattr(following, "REST", 0.001)
    read, asked = scene.store.read, []

    def read_or_not(keys):
        asked.append(keys)
        # Two look at the job, before and after its wake-up is heard; the third says in which state it is.
        if len(asked) == 3:
            raise StoreUnavailable(verb="read", reason="TimeoutError")
        return read(keys)

    monkeypatch.setattr(scene.store, "read", read_or_not)

    [report] = submit(FOUR[:1], waits=True, timeout=0.0, patience=60.0)

    assert (report.status, report.error["state"]) == ("timeout", "queued")


def test_rows_ahead_of_the_workers_are_bounded(scene, submit):
    most = []

    def body():
        most.append(submit.run.under_way)
        return scene.answer

    reports = submit([{"currency": f"C{n}"} for n in range(20)], body=body, waits=True, max_queued=3)

    assert [r.status for r in reports] == ["done"] * 20
    assert max(most) <= 3


def test_bound_holds_where_nobody_waits_for_answers_too(scene, submit):
    most = []

    def body():
        most.append(scene.sender.sent[submit.done - 1 :])
        return scene.answer

    reports = submit([{"currency": f"C{n}"} for n in range(20)], body=body, max_queued=3)

    assert [r.status for r in reports] == ["admitted"] * 20
    assert max(map(len, most)) <= 3


def test_rows_that_an_earlier_start_answered_are_not_asked_for(scene, submit):
    reports = submit(FOUR, answered={1, 3})

    assert [r.row for r in reports] == [2, 4]
    assert len(scene.sender.sent) == 2


def test_row_that_is_asked_for_again_is_the_same_job_and_its_cost_this_rows(scene, submit):
    submit(FOUR[:1])
    submit.work(lambda: Answer(value=1, cost_usd=0.25))

    [mine] = submit(FOUR[:1], waits=True)
    [others] = submit(FOUR[:1], waits=True, uid="run-2")

    assert (mine.cost_usd, mine.avoided_usd) == (0.25, None)
    assert (others.cost_usd, others.avoided_usd) == (0.0, 0.25)
    assert len(scene.sender.sent) == 1


def test_row_that_an_earlier_round_left_under_way_is_its_job_and_this_rows_cost(submit):
    submit(FOUR[:1])
    submit.work(lambda: Answer(value=1, cost_usd=0.25))

    [mine] = submit(FOUR[:1], waits=True, uid="run-2", uids={1: "run-1"})

    assert (mine.cost_usd, mine.avoided_usd) == (0.25, None)


def test_equal_rows_cost_once(scene, submit):
    reports = submit(FOUR, body=lambda: Answer(value=1, cost_usd=0.25), waits=True)

    assert [r.cost_usd for r in reports] == [0.25, 0.25, 0.0, 0.25]


def test_kept_failure_is_asked_for_again_on_request_and_once(scene, submit, raising):
    scene.answered(FOUR[0], raising(Permanent("http_404")))
    submit.done = 1

    reports = submit([FOUR[0], FOUR[2]], body=raising(Permanent("http_404")), waits=True, again=True)

    assert [r.status for r in reports] == ["failed", "failed"]
    # Neither row pays for the failure of the other one again.
    assert len(scene.sender.sent) == 2
    [third] = submit(FOUR[:1], waits=True, uid="run-2")
    assert third.status == "negative"


def test_failure_of_a_killed_start_is_not_asked_for_again(scene, submit, raising):
    scene.answered(FOUR[0], raising(Permanent("http_404")))
    submit.done = 1
    submit(FOUR[:1], body=raising(Permanent("http_404")), waits=True, again=True)

    [report] = submit(FOUR[:1], waits=True, again=True)

    # The same line as of a start that was not killed.
    error = {"kind": "permanent", "reason": "http_404", "attempts": 1}
    assert ("failed", error) == (report.status, report.error)
    assert len(scene.sender.sent) == 2


def test_refresh_makes_each_answer_anew_once(scene, submit):
    scene.answered(FOUR[0])
    submit.done = 1
    scene.clock.advance(10)
    started = float(scene.clock())

    reports = submit(FOUR, body=lambda: scene.answer, waits=True, not_before=started)
    scene.clock.advance(5)
    again = submit(FOUR, body=lambda: scene.answer, waits=True, not_before=started)

    assert [r.asked for r in reports] == ["admitted", "admitted", "attached", "admitted"]
    assert [r.asked for r in again] == ["hit"] * 4
    assert len(scene.sender.sent) == 4


@pytest.mark.parametrize(
    ("reason", "said"), [("not_found", "not_found"), ("", "the answer is the task's own substitute")]
)
def test_fallback_counts_as_failed_on_request(submit, reason, said):
    body = lambda: Answer(value=None, source="default", reason=reason)  # noqa: E731

    [report] = submit(FOUR[:1], body=body, waits=True, strict=True)

    assert (report.status, report.ok, report.reason) == ("done", False, "fallback")
    assert {"kind": "fallback", "reason": said} == report.error


def test_row_has_its_own_id(submit):
    reports = submit([FOUR[0], Row(number=2, payload=FOUR[1], id="meeting-7")])

    assert [r.id for r in reports] == ["BRL", "meeting-7"]


UNREADABLE = [RecordDamaged(key="k", reason="wrong_type"), LayoutNewer(verb="admit", key="k")]


@pytest.mark.parametrize("error", UNREADABLE, ids=repr)
def test_row_whose_record_becomes_unreadable_while_it_waits_costs_no_other_row(error):
    one, other = Report(row=1, status="admitted"), Report(row=2, status="admitted")

    settle(one, error, "job-1")

    assert ("unreadable", {"kind": "unreadable", "reason": str(error)}) == (one.status, one.error)
    assert "admitted" == other.status


@pytest.mark.parametrize("error", UNREADABLE, ids=repr)
def test_row_whose_record_is_unreadable_costs_no_other_row(scene, submit, error):
    admit_many = scene.store.admit_many
    scene.store.admit_many = lambda claims: [error, *admit_many(claims[1:])]

    reports = submit(FOUR[:2])

    assert [r.status for r in reports] == ["unreadable", "admitted"]
    assert reports[0].error == {"kind": "unreadable", "reason": str(error)}
