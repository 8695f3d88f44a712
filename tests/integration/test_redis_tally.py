from contextlib import suppress

import pytest

from askonce.errors import StoreUnavailable
from askonce.record import MAX_SUMMED
from askonce.tally import Counter
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


@pytest.mark.parametrize("what", READS)
@pytest.mark.parametrize("after", [0, 1, 9, 10, 11, 12, 19])
def test_day_that_is_folded_while_the_sums_are_read_is_counted_once(counted, days, monkeypatch, what, after):
    read, truth = READS[what]
    send = counted._scripts.send

    def one_by_one(verb, *commands):
        replies = []
        for number, command in enumerate(commands):
            if "tally}:" in command[1] and number == after:
                monkeypatch.setattr(counted._scripts, "send", send)
                counted.tally.fold()
            replies += send(verb, command)
        return replies

    monkeypatch.setattr(counted._scripts, "send", one_by_one)

    assert (truth, truth) == (read(counted, days), read(counted, days))


@pytest.mark.parametrize("step", range(18))
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


def test_days_are_folded_in_their_order_whatever_the_order_of_the_server(counted, days, monkeypatch):
    hashes = counted._scripts.hashes
    monkeypatch.setattr(
        counted._scripts,
        "hashes",
        lambda names: [dict(reversed(found.items())) for found in hashes(names)],
    )
    counted.tally.fold()

    assert (TRUTH, [3, 3, 3]) == (totals_of(counted), days_of(counted, days))


def go_on_for_a_month(store, clock):
    for day in range(30):
        store.admit(new_claim(f"{KEYS[0][:-2]}a{day % 10}", f"job-{day}"))
        clock.advance(_DAY)
        store.tally.fold()


@pytest.mark.parametrize("verb", ["today", "read", "fold", "reap"])
def test_folder_that_hangs_for_a_month_counts_nothing_twice(counted, server_clock, monkeypatch, verb):
    began = int(server_clock()) // _DAY
    send = counted._scripts.send

    def after_a_month(name, *commands):
        if name == verb:
            monkeypatch.setattr(counted._scripts, "send", send)
            go_on_for_a_month(counted, server_clock)
        return send(name, *commands)

    monkeypatch.setattr(counted._scripts, "send", after_a_month)
    counted.tally.fold()

    assert counted._scripts.send == send
    assert 39 == sum(totals_of(counted).values())
    assert [3, 3, 3, *[1] * 30] == days_of(counted, range(began - 5, began + 31))


def test_sum_keeps_one_mark_for_each_bucket_however_many_days_are_folded(counted, server_clock, client):
    go_on_for_a_month(counted, server_clock)

    total = client.hkeys("{askonce:test:tally}:total")
    assert [len(KEYS), 1] == [[name.count(b"\n") for name in total].count(lines) for lines in (1, 3)]


def test_tenants_beyond_the_limit_of_a_sum_share_one_name(shifted_store, server_clock, client):
    total, day = "{askonce:test:tally}:total", int(server_clock()) // _DAY
    client.hset(total, mapping={f"orders\nt{n}\n\nhit": 1 for n in range(MAX_SUMMED)})
    new = {f"{day}\norders\n{tenant}\nsmall\nhit": 2 for tenant in ("acme", "umbrella")}
    known = {f"{day}\norders\nt7\n\nhit": 3, f"{day}\norders\n\n\nwait:50": 4}
    client.hset(shifted_store._scripts.bucket_key(1, "tally"), mapping=new | known)
    before = shifted_store.tally.totals()
    server_clock.advance(2 * _DAY)

    shifted_store.tally.fold()

    after, of_day = shifted_store.tally.totals(), shifted_store.tally.of_days(range(day, day + 1))[day]
    assert sum(before.values()) == sum(after.values())
    assert 4 == after[Counter("orders", "other", "small", "hit")]
    assert (4, 4) == (after["orders", "t7", "", "hit"], after["orders", "", "", "wait:50"])
    assert (2, 2) == (of_day["orders", "acme", "small", "hit"], of_day["orders", "umbrella", "small", "hit"])
    assert MAX_SUMMED + len({"other", "wait", "mark"}) == client.hlen(total)
