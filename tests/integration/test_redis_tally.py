from contextlib import suppress

import pytest

from askonce.errors import StoreUnavailable
from tests.jobs import new_claim

pytestmark = pytest.mark.integration

# A day's counters move from the buckets into sums; every reading on the way is exact.

KEYS = [f"{bucket:02x}" + "0" * 62 for bucket in (1, 2, 255)]
_DAY = 86_400
TRUTH = {"admitted": 9}


@pytest.fixture
def counted(shifted_store, server_clock):
    """Count on three days, in three buckets, and let two more days pass."""
    for day in range(3):
        for key in KEYS:
            shifted_store.admit(new_claim(key[:-1] + str(day)))
        server_clock.advance(_DAY)
    server_clock.advance(2 * _DAY)
    return shifted_store


def totals_of(store):
    return {counter.what: amount for counter, amount in store.tally.totals().items()}


def days_of(store, days):
    return [sum(counters.values()) for _, counters in sorted(store.tally.of_days(days).items())]


@pytest.fixture
def days(server_clock):
    today = int(server_clock()) // _DAY
    return range(today - 10, today + 10)


READS = {
    "totals": (lambda store, _: totals_of(store), TRUTH),
    "of_days": (days_of, [3, 3, 3]),
}


@pytest.mark.parametrize("what", READS)
def test_day_that_is_folded_between_the_reads_is_counted_once(counted, days, monkeypatch, what):
    read, truth = READS[what]
    fold, hashes = counted.tally.fold, counted._scripts.hashes
    folded = []

    def then_folds(names):
        found = hashes(names)
        monkeypatch.setattr(counted._scripts, "hashes", hashes)
        folded.append(fold())
        return found

    monkeypatch.setattr(counted._scripts, "hashes", then_folds)
    between = read(counted, days)

    assert [9] == folded
    assert (truth, truth) == (between, read(counted, days))


@pytest.mark.parametrize("step", range(27))
def test_reading_is_exact_after_each_step_of_a_fold(counted, days, monkeypatch, step):
    steps = iter(range(step))

    def until(verb):
        send = getattr(counted._scripts, verb)

        def one(name, *args):
            if name in {"fold", "reap"} and next(steps, None) is None:
                raise StoreUnavailable(verb=name, reason="connection", server="")
            return send(name, *args)

        return one

    with monkeypatch.context() as patched, suppress(StoreUnavailable):
        for verb in ("run_all", "send"):
            patched.setattr(counted._scripts, verb, until(verb))
        counted.tally.fold()
    stopped = totals_of(counted), days_of(counted, days)
    counted.tally.fold()

    assert (TRUTH, [3, 3, 3]) == stopped
    assert (TRUTH, [3, 3, 3]) == (totals_of(counted), days_of(counted, days))
