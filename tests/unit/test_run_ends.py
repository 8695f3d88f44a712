"""What a start of a run says at its end."""

from types import SimpleNamespace

from producer.bill.estimate import Range
from producer.progress.counts import Counts
from producer.run.begin import Paid
from producer.run.ends import bill, how_to_go_on
from producer.run.limits import INTERRUPTED, Stop

NOTHING = Range(0.0, 0.0, 0.0)


def test_what_was_paid_is_compared_where_something_was_to_be_called():
    assert 1 == len(bill(Counts(cost_micro_usd=5), Paid(), Range(1.0, 2.0, 3.0)))
    assert [] == bill(Counts(), Paid(), NOTHING) == bill(Counts(), Paid(), None)


def test_calls_of_unknown_price_are_told_of_earlier_starts_too():
    counts = Counts(cost_micro_usd=250_000, calls=3, unpriced=1)

    assert ["cost with earlier starts: $0.7500 and 3 calls of unknown price"] == bill(
        counts, Paid(micro_usd=500_000, calls=4, unpriced=2), None
    )
    assert ["cost with earlier starts: unknown price"] == bill(Counts(), Paid(calls=2, unpriced=2), None)


def test_command_that_ends_what_waits_can_be_copied():
    run = SimpleNamespace(stop=Stop("interrupted", INTERRUPTED), under_way=1_200, name="a b")

    lines = how_to_go_on(run, SimpleNamespace(open=0), kept=True)

    assert lines[1] == (
        "1,200 rows are with the workers; to end those that wait unpaid: python -m producer cancel 'a b'"
    )
