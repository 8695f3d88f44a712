"""Other content under one key, in a later group: the earlier row keeps its answer, and what it paid."""

from types import SimpleNamespace

import pytest

from askonce.answer import Answer
from askonce.errors import SendFailed
from askonce.rows import Row
from producer.bill.budget import Budget
from producer.bill.worst import Worst
from producer.run import run as runs
from producer.run.held import Held
from producer.run.limits import INTERRUPTED, LIMIT_REACHED, Stop
from producer.run.purse import Purse
from producer.run.report import Report
from tests.unit.starts import Start

FIRST, OTHER, THIRD = ({"currency": "BRL", "day": f"2026-11-2{n}"} for n in range(3))


@pytest.fixture
def submit(scene, monkeypatch):
    """Submit payloads, each in a group of its own; workers begin when nothing more can be enqueued."""
    monkeypatch.setattr(runs, "GROUP", 1)
    start = Start(scene)

    def run(payloads, body, **words):
        looked = []

        def look(_count):
            looked.append(1)
            if len(looked) > len(payloads):
                start.work(body)

        return start(payloads, waits=True, on_under_way=look, **words)

    run.start = start
    return run


def paid(costs):
    """Return a body that costs so much each time, in turn."""
    left = iter(costs)
    return lambda: Answer(value={"rate": 1}, cost_usd=next(left))


def told_of(reports):
    return [(r.row, r.status, r.cost_usd, r.later_row) for r in reports]


def test_earlier_row_keeps_its_answer_and_its_cost_and_names_the_later_one(scene, submit):
    reports = submit([FIRST, OTHER], paid([0.25, 0.5]))

    assert told_of(reports) == [(1, "done", 0.25, 2), (2, "done", 0.5, None)]
    counted = scene.store.tally.totals().items()
    assert sum(n for counter, n in counted if counter.what == "micro_usd") == 750_000


def test_equal_rows_of_the_earlier_content_all_name_the_later_one(submit):
    reports = submit([FIRST, FIRST, OTHER, OTHER], paid([0.25, 0.5]))

    assert told_of(reports[:2]) == [(1, "done", 0.25, 3), (2, "done", 0.0, 3)]
    assert told_of(reports[2:]) == [(3, "done", 0.5, None), (4, "done", 0.0, None)]


def test_row_that_was_held_back_holds_back_the_next_one(submit):
    reports = submit([FIRST, OTHER, THIRD], paid([0.25, 0.5, 0.125]))

    assert told_of(reports) == [(1, "done", 0.25, 2), (2, "done", 0.5, 3), (3, "done", 0.125, None)]


def test_row_waits_until_all_rows_before_it_have_ended():
    held, row = Held(), Row(number=3, payload=OTHER)
    held.add("k", row)
    ended = [Report(row=n, status="done", key="k") for n in (1, 2)]

    held.end(ended[0])
    assert (held.freed(lambda _key: "under way"), len(held)) == ([], 1)
    held.end(ended[1])

    assert (held.freed(lambda _key: None), len(held)) == ([row], 0)
    assert [each.later_row for each in ended] == [3, 3]


@pytest.mark.parametrize("max_queued", [0, 2])
def test_row_that_is_held_back_when_the_run_stops_stays_open(scene, submit, max_queued):
    looked = []

    def stop_later(_count):
        looked.append(1)
        if len(looked) == 4:
            run.stop = Stop("interrupted", INTERRUPTED)

    run = submit.start.begin(waits=True, on_under_way=stop_later, max_queued=max_queued)
    rows = [
        Row(number=n, payload=each) for n, each in enumerate((FIRST, OTHER, {"currency": "EUR"}), start=1)
    ]
    run.execute(rows)

    assert submit.start.reports == []
    assert len(scene.sender.sent) == (1 if max_queued else 2), "what is held back is ahead of the workers"


@pytest.mark.parametrize("max_queued", [0, 9])
def test_run_that_does_not_wait_replaces_at_once(scene, submit, max_queued):
    reports = submit.start([FIRST, OTHER], max_queued=max_queued)

    assert [r.status for r in reports] == ["admitted", "admitted"]
    assert len(scene.sender.sent) == 2


def test_rows_that_a_killed_start_sent_apart_are_sent_apart_again(scene):
    start, body = Start(scene), paid([0.25, 0.5])
    run = start.begin(waits=True, on_under_way=lambda _: setattr(run, "stop", Stop("killed", INTERRUPTED)))
    run.execute([Row(number=1, payload=FIRST)])
    start.work(body)

    reports = start([FIRST, OTHER], body=body, waits=True, sent={1: 1})

    # The first one was paid for: the later one does not replace it, although both are open now.
    assert told_of(reports) == [(1, "done", 0.25, None), (2, "done", 0.5, None)]
    assert start.reports.groups == [[1], [2]]


def test_row_that_was_held_back_waits_for_room_also_when_all_others_are_read(scene):
    start, body = Start(scene), paid([0.25, 0.125, 0.125, 0.5])
    rows = [FIRST, OTHER, {"currency": "EUR"}, {"currency": "USD"}]
    # The last group of a killed start needs no room: more rows than wanted are ahead of the workers then.
    run = start.begin(waits=True, max_queued=2, sent={1: 1, 2: 2, 3: 2, 4: 2})
    looked = []

    def look(_count):
        looked.append(1)
        if len(looked) == 4:
            scene.work(body, 0)
        elif len(looked) > 6:
            start.done = max(start.done, 1)
            start.work(body)

    run.on_under_way = look
    stop = run.execute([Row(number=n, payload=each) for n, each in enumerate(rows, start=1)])

    assert stop is None
    assert [1, 2, 3, 4] == sorted(report.row for report in start.reports)


def test_row_whose_money_is_put_aside_comes_before_one_that_costs_too_much(scene, submit):
    budget = Budget(max_calls=2)
    purse = Purse(budget, SimpleNamespace(worst_case=lambda _: Worst(1, 1)), scene.spec)
    purse.begin((), lambda _: False, list)

    reports = submit([FIRST, OTHER, {"currency": "EUR"}], paid([0.25, 0.5]), budget=purse)

    assert [(1, "done"), (2, "done")] == [(report.row, report.status) for report in reports]
    assert (LIMIT_REACHED, 2) == (submit.start.run.stop.exit_code, budget.calls.spent)


def test_run_whose_messages_are_refused_says_that_and_not_that_its_budget_is_spent(scene, submit):
    budget = Budget(max_calls=1)
    purse = Purse(budget, SimpleNamespace(worst_case=lambda _: Worst(1, 1)), scene.spec)
    purse.begin((), lambda _: False, list)
    scene.sender.refuses = True

    with pytest.raises(SendFailed):
        submit([FIRST, {"currency": "EUR"}], paid([]), budget=purse)

    assert ["unavailable"] == [report.status for report in submit.start.reports]
    assert (0, 1) == (budget.calls.spent, budget.calls.reserved)
