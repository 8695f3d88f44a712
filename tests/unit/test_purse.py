"""The budget of a run over its starts: whatever they were killed in, it holds, and nothing of it is lost."""

from dataclasses import dataclass, replace
from decimal import Decimal

import pytest

from askonce.errors import SendFailed
from askonce.rows import BadRow, Row
from askonce.spec import JobSpec
from producer.bill.budget import Budget
from producer.bill.worst import Worst
from producer.run.begin import go_on, open_journal
from producer.run.errors import JournalInvalid, LimitImpossible
from producer.run.journal import Round
from producer.run.purse import Purse
from producer.run.report import Report, settle

WORST = Worst(6, 1000)
SPEC = JobSpec(name="rates.fetch")
ROUND = Round(name="nightly", uid="1", task="rates.fetch", version="1", started=0.0, holder="here:1")


@dataclass
class Meter:
    """Finds the same worst case for each row."""

    worst: Worst = WORST

    def worst_case(self, _payload):
        return self.worst


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.jsonl"


def report(row, cost=0.0001, calls=1, **more):
    return Report(
        **{"status": "done", "asked": "admitted", "source": "call", **more},
        row=row,
        cost_usd=cost,
        calls=calls,
    )


@pytest.fixture
def start(out):
    """Start the run with a budget; send rows, and end some of them with these reports."""

    def begin(sent=(), ended=(), *, worst=WORST, rows=(), round_=ROUND, limits=None):
        limits = {"max_cost": Decimal("0.01")} if limits is None else limits
        budget = Budget(**limits)
        purse = Purse(budget, Meter(worst), SPEC)
        with open_journal(out) as journal:
            past, _ = go_on(journal, round_, out, purse.replay)
            purse.begin(rows, lambda row: past.lines[row] is not None, journal.reserve)
            admitted = [purse.reserve(row, {}) for row in sent]
            purse.send()
            for each in ended:
                journal.add(each)
                purse.settle(each)
        return budget, admitted

    return begin


def test_rows_of_a_killed_start_keep_what_they_can_cost(start):
    start(sent=[1, 2, 3], ended=[report(1)])

    budget, _ = start()

    assert (budget.cost.spent, budget.cost.reserved, budget.cost.left) == (100, 2000, 7900)


def test_row_that_is_sent_again_reserves_nothing_more(start):
    start(sent=[1, 2])

    budget, admitted = start(sent=[1, 2], ended=[report(1), report(2)])

    assert (admitted, budget.cost.spent, budget.cost.reserved) == ([True, True], 200, 0)


def test_row_of_unknown_cost_keeps_its_reserve_at_each_later_start(start):
    start(sent=[1, 2], ended=[report(1, cost=None)])

    first, _ = start(sent=[2], ended=[report(2)])
    second, _ = start()

    assert [(each.cost.spent, each.cost.in_doubt, each.cost.reserved) for each in (first, second)] == [
        (1100, 1000, 0)
    ] * 2


@pytest.mark.parametrize("status", ["timeout", "unavailable"])
def test_row_that_is_asked_for_again_is_counted_once(start, status):
    start(sent=[1], ended=[report(1, cost=None, calls=None, status=status, source=None)])

    budget, _ = start(sent=[1], ended=[report(1)])

    assert (budget.cost.spent, budget.cost.reserved) == (100, 0)


def test_row_whose_message_was_refused_keeps_its_reserve(start):
    refused = report(1, cost=None, calls=None, status="", asked=None, source=None)
    settle(refused, SendFailed(key="k", job="j"), "j")

    budget, _ = start(sent=[1], ended=[refused])

    assert (budget.cost.spent, budget.cost.reserved) == (0, 1000)


def test_rows_that_a_new_round_asks_anew_count_as_paid(start):
    start(sent=[1, 2], ended=[report(1)])
    again = Round(**{name: getattr(ROUND, name) for name in ROUND.__slots__} | {"refresh": True, "uid": "2"})

    budget, _ = start(round_=again)

    assert (budget.cost.spent, budget.cost.in_doubt, budget.cost.reserved) == (1100, 1000, 0)


def test_rows_that_a_refresh_leaves_out_keep_their_reserve(start):
    start(sent=[1, 2])

    budget, _ = start(sent=[2], ended=[report(2)], round_=replace(ROUND, refresh=True, limit=1, uid="2"))

    # What the first row may have paid for is spent, and the other one has its end.
    assert (budget.cost.spent, budget.cost.in_doubt, budget.cost.reserved) == (1100, 1000, 0)


def test_rows_that_are_under_way_keep_their_reserve_while_failures_are_asked_for_again(start):
    start(sent=[1, 2], ended=[report(1)])

    budget, _ = start(sent=[2], ended=[report(2)], round_=replace(ROUND, retry_failed=True, uid="2"))

    assert (budget.cost.spent, budget.cost.in_doubt, budget.cost.reserved) == (200, 0, 0)


def test_start_without_a_limit_leaves_its_known_costs(start):
    start(sent=[1, 2], ended=[report(1), report(2, cost=0.0005)], limits={})

    assert start()[0].cost.spent == 600


def test_unknown_cost_of_a_start_without_a_limit_counts_with_its_worst_case(start):
    start(ended=[report(1), report(2, cost=None)], limits={})
    rows = [BadRow(number=1, field="", reason=""), Row(number=2, payload={}), Row(number=3, payload={})]

    budget, _ = start(rows=rows)

    assert (budget.cost.spent, budget.cost.in_doubt) == (1100, 1000)


def test_unknown_cost_of_a_row_that_cannot_be_read_again_is_refused(start):
    start(ended=[report(2, cost=None)], limits={})

    with pytest.raises(LimitImpossible, match="--max-cost reason=1 rows of earlier starts have an"):
        start()


def test_unknown_cost_is_nothing_to_a_limit_of_calls(start):
    start(ended=[report(2, cost=None)], limits={})

    assert start(limits={"max_calls": 9})[0].calls.spent == 1


def test_limit_below_one_row_is_refused_with_the_smallest_that_is_useful(start):
    rows = [BadRow(number=1, field="", reason=""), Row(number=2, payload={})]

    with pytest.raises(LimitImpossible, match=r"not even one row: what row 2 can cost .* --max-cost 0\.001$"):
        start(rows=rows, limits={"max_cost": Decimal("0.0009")})


def test_first_row_without_an_end_is_the_one_that_needs_room(start):
    start(ended=[report(1, calls=0)], limits={})
    rows = (Row(number=n, payload={}) for n in (1, 2, 3))

    with pytest.raises(LimitImpossible, match=r"row 2 can cost .* --max-calls 6$"):
        start(rows=rows, limits={"max_calls": 5})
    assert next(rows).number == 3, "nothing more was read"


def test_damaged_reserve_ends_the_run_in_one_line(start, out):
    start(sent=[1])
    with out.with_name("out.jsonl.journal").open("ab") as stream:
        stream.write(b'{"reserved":[[1,"6",1000,true]]}\n')

    with pytest.raises(JournalInvalid):
        start()


#: A row whose calls other jobs make.
HIDDEN = Worst(9, None, own=False)
CALLS = {"max_calls": 20}


@pytest.mark.parametrize("source", ["call", "cache"])
@pytest.mark.parametrize("calls", [0, 1, 2])
def test_answered_row_gives_back_the_calls_that_it_did_not_use(start, source, calls):
    ended = [report(1, cost=None, calls=calls, source=source)]

    budget, _ = start(sent=[1], ended=ended, worst=HIDDEN, limits=CALLS)
    later, _ = start(worst=HIDDEN, limits=CALLS)

    assert [(each.calls.spent, each.calls.reserved) for each in (budget, later)] == [(calls, 0)] * 2


@pytest.mark.parametrize(
    ("ended", "spent"),
    [
        ({"source": "default"}, 9),
        ({"source": "stale"}, 9),
        ({"status": "failed", "source": None}, 9),
        ({"source": "default", "asked": "attached", "calls": 0}, 0),
        ({"source": "default", "asked": "attached", "calls": 1}, 9),
        ({"status": "invalid", "source": None, "asked": None, "calls": 0}, 0),
    ],
)
def test_row_without_an_answer_keeps_the_calls_that_may_follow_its_end(start, ended, spent):
    budget, _ = start(
        sent=[1], ended=[report(1, cost=None, **{"calls": 1, **ended})], worst=HIDDEN, limits=CALLS
    )

    assert (budget.calls.spent, budget.calls.reserved) == (spent, 0)


def test_row_that_got_a_stale_answer_keeps_the_calls_of_its_job(start):
    ended = [report(1, source="stale")]

    assert start(sent=[1], ended=ended)[0].cost.spent == 1000


def test_own_calls_of_a_failed_row_are_known(start):
    ended = [report(1, status="failed", source=None, calls=2)]

    assert start(sent=[1], ended=ended, limits=CALLS)[0].calls.spent == 2
