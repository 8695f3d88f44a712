import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from sandbox.outside.limits import Bucket, ClientLeft, Slots, duration, wish


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def bucket(clock):
    return Bucket(clock)


def allowed(bucket, rate, burst=0):
    """Return how many requests are allowed at once."""
    return next(count for count in range(10_000) if bucket.take(rate, burst).wait)


def test_bucket_allows_a_second_at_once_and_then_the_rate(bucket, clock):
    at_once = allowed(bucket, 5)
    clock.now += 0.4
    later = allowed(bucket, 5)
    clock.now += 60
    rested = allowed(bucket, 5)

    assert (5, 2, 5) == (at_once, later, rested)


def test_burst_says_how_many_are_allowed_at_once(bucket, clock):
    at_once = allowed(bucket, 2, burst=20)
    clock.now += 1

    assert (20, 2) == (at_once, allowed(bucket, 2, burst=20))


def test_rate_below_one_a_second_still_allows_one(bucket, clock):
    assert 1 == allowed(bucket, 0.25)
    assert pytest.approx(4) == bucket.take(0.25, 0).wait


@pytest.mark.parametrize("rate", [0.25, 3, 7, 1000 / 7])
def test_client_that_waits_as_long_as_it_is_told_is_allowed(bucket, clock, rate):
    for _ in range(200):
        clock.now += bucket.take(rate, 0).wait
        while (wait := bucket.take(rate, 0).wait) == 0:
            pass
        clock.now += wait
        assert 0 == bucket.take(rate, 0).wait


def test_refused_request_takes_no_token(bucket, clock):
    allowed(bucket, 1)
    waits = [bucket.take(1, 0).wait for _ in range(3)]

    assert [1, 1, 1] == pytest.approx(waits)


def test_rate_may_change_between_two_requests(bucket):
    allowed(bucket, 2)

    assert 8 == allowed(bucket, 10)


def test_second_request_waits_until_the_first_one_took_its_token():
    answers = []
    second = threading.Thread(target=lambda: answers.append(bucket.take(0.01, 1).wait))

    def clock():
        # The bucket asks for the time within a request: here is the chance for another one to get in between.
        if not second.ident:
            second.start()
            second.join(0.2)
        return 0.0

    bucket = Bucket(lambda: 0.0)
    bucket._clock = clock
    first = bucket.take(0.01, 1).wait
    second.join(10)

    assert (0, [pytest.approx(100)]) == (first, answers)


def test_headers_count_the_bucket_down(bucket):
    told = [bucket.take(2, 6).headers for _ in range(7)]

    name = "x-ratelimit-{}-requests".format
    assert ["120"] * 7 == [headers[name("limit")] for headers in told]
    assert ["5", "4", "3", "2", "1", "0", "0"] == [headers[name("remaining")] for headers in told]
    assert ["500ms", "1s", "1.5s"] == [headers[name("reset")] for headers in told[:3]]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0ms"), (0.012, "12ms"), (1, "1s"), (59.9996, "1m0s"), (86.5, "1m26.5s"), (360, "6m0s")],
)
def test_duration_is_written_as_openai_does(seconds, shown):
    assert shown == duration(seconds)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("", None),
        ("seconds", "3"),
        ("date", "Thu, 01 Jan 1970 00:01:03 GMT"),
        (0, "0"),
        (0.5, "0.5"),
        (86400, "86400"),
        (86400.0, "86400"),
    ],
)
def test_wish_is_said_in_the_form_that_is_set(wanted, said):
    assert said == wish(wanted, 2.4, clock=lambda: 60).get("Retry-After")


def test_slots_are_given_in_the_order_in_which_calls_came(eventually):
    slots, served, release = Slots(), [], threading.Event()

    def call(number):
        with slots.one(lambda: 1, lambda: False):
            served.append(number)
            assert release.wait(10)

    with ThreadPoolExecutor() as pool:
        calls = []
        for number in range(5):
            calls.append(pool.submit(call, number))
            eventually(lambda ahead=number: (slots.taken, slots.queued) == (1, ahead))
        release.set()
        [done.result(10) for done in calls]

    assert [0, 1, 2, 3, 4] == served
    assert (0, 0) == (slots.taken, slots.queued)


def test_call_that_came_later_takes_no_slot_of_an_earlier_one(eventually):
    slots, may_enter = Slots(), threading.Event()

    def call(limit):
        with slots.one(limit, lambda: False):
            pass

    with ThreadPoolExecutor() as pool:
        first = pool.submit(call, lambda: 1 if may_enter.is_set() else -1)
        eventually(lambda: slots.queued == 1)
        second = pool.submit(call, lambda: 1)
        try:
            eventually(lambda: slots.queued == 2)
        finally:
            may_enter.set()
        [done.result(10) for done in (first, second)]


def test_client_that_leaves_the_queue_is_passed_by(eventually):
    slots, gone, release = Slots(), threading.Event(), threading.Event()

    def call(left):
        with slots.one(lambda: 1, left):
            assert release.wait(10)

    with ThreadPoolExecutor() as pool:
        first = pool.submit(call, lambda: False)
        eventually(lambda: slots.taken == 1)
        second = pool.submit(call, gone.is_set)
        eventually(lambda: slots.queued == 1)
        third = pool.submit(call, lambda: False)
        eventually(lambda: slots.queued == 2)
        gone.set()
        eventually(lambda: slots.queued == 1)
        release.set()

        assert isinstance(second.exception(10), ClientLeft)
        assert (None, None) == (first.result(10), third.result(10))
