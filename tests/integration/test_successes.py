"""Which runs of scheduled jobs are noted as a success of their entry."""

import pytest
from celery.beat import ScheduleEntry

from askonce.answer import Answer
from askonce.errors import Permanent, StoreUnavailable, Transient
from askonce.spec import JobSpec, RetryPolicy
from tests.deadlines import eventually
from tests.integration.conftest import Shop
from worker.signs import Scheduler
from worker.successes import ENTRY, PlainTask, RecordedTask

pytestmark = pytest.mark.integration


class ScheduledShop(Shop):
    """An app with a task of each kind that notes what succeeds."""

    def _add_tasks(self, calls):
        super()._add_tasks(calls)
        spec = JobSpec(retry=RetryPolicy(max_attempts=3, base=0.02))

        @self.app.task(name="plain", base=PlainTask, bind=True, shared=False, default_retry_delay=0)
        def plain(task, n):
            try:
                calls.make("plain", n)
            except Transient as error:
                raise task.retry(exc=error, countdown=0) from None

        @self.app.task(name="recorded", base=RecordedTask, spec=spec, shared=False)
        def recorded(n):
            calls.make("recorded", n)
            return n

        @self.app.task(name="replaced", base=RecordedTask, spec=spec, shared=False)
        def replaced(n):
            calls.make("replaced", n)
            return Answer("none", source="default", reason="refused")


@pytest.fixture(scope="module")
def shop(tcp_server):
    # One slot: when the next job runs, the one before has ended, and is noted or is not.
    with ScheduledShop(tcp_server, "scheduled").worker(concurrency=1) as shop:
        yield shop


@pytest.fixture
def scheduler(shop, tmp_path):
    scheduler = Scheduler(shop.app, schedule_filename=str(tmp_path / "beat"))
    yield scheduler
    scheduler.close()


@pytest.fixture
def send(shop, scheduler):
    """Send the message of an entry, as beat does; return its result."""

    def dispatch(name, task, n, **options):
        entry = ScheduleEntry(name, task, schedule=3600, args=(n,), options=options, app=shop.app)
        return scheduler.apply_async(entry, producer=scheduler.producer, advance=False)

    return dispatch


@pytest.fixture
def noted(shop, send):
    """Return which entries have succeeded once all that was sent has ended."""

    def look():
        numbers = len(shop.store.tally.successes())
        last = f"last {numbers}"
        send(last, "plain", last)
        eventually(lambda: last in shop.store.tally.successes(), 30)
        return set(shop.store.tally.successes())

    return look


@pytest.mark.parametrize("task", ["plain", "recorded"])
def test_run_without_an_error_is_a_success_of_its_entry(send, noted, task):
    send(f"{task}, well", task, 11)

    assert f"{task}, well" in noted()


@pytest.mark.parametrize("task", ["plain", "recorded", "replaced"])
def test_failure_and_fallback_are_no_success(shop, send, noted, task):
    shop.calls.errors[12] = [] if task == "replaced" else [Permanent("refused")]
    send(f"{task}, failed", task, 12)

    assert f"{task}, failed" not in noted()
    assert (task, 12) in shop.calls.of(12)


@pytest.mark.parametrize("task", ["plain", "recorded"])
def test_success_after_a_retry_counts_when_it_is_there(shop, send, noted, task):
    shop.calls.errors[13] = [Transient("busy")]
    send(f"{task}, again", task, 13)

    eventually(lambda: 2 == shop.calls.of(13).count((task, 13)), 30)

    assert f"{task}, again" in noted()


def test_answer_that_was_there_is_no_success(shop, send, noted):
    first = send("recorded, first", "recorded", 14)
    # A message of its own, which finds the answer in the worker.
    assert "recorded, first" in noted()
    again = send("recorded, twice", "recorded", 14, shadow="other")

    assert "recorded, twice" not in noted()
    assert first.id != again.id
    assert [("recorded", 14)] == shop.calls.of(14)


def test_message_that_no_scheduler_sent_is_noted_nowhere(shop, noted):
    before = noted()
    shop.app.tasks["plain"].delay(15)
    for name in (7, "", "x" * 201, "two\nlines", ["list"]):
        shop.app.tasks["plain"].apply_async((15,), headers={ENTRY: name})

    assert {name for name in noted() - before if not name.startswith("last ")} == set()
    assert 6 == len(shop.calls.of(15))


@pytest.mark.parametrize("task", ["plain", "recorded"])
def test_store_that_is_away_is_said_and_costs_the_job_nothing(shop, send, noted, monkeypatch, task):
    def refuse(entry):
        del entry
        raise StoreUnavailable(verb="succeeded", reason="timeout")

    with monkeypatch.context() as patch:
        patch.setattr(shop.store.tally, "succeeded", refuse)
        result = send(f"{task}, unnoted", task, 16)
        unnoted = eventually(lambda: [one for one in shop.heard if one.name == "schedule.unnoted"], 30)
        shop.heard.clear()

    assert [(task, result.id, {"entry": f"{task}, unnoted", "reason": "timeout"})] == [
        (one.task, one.job, dict(one.data)) for one in unnoted
    ]
    assert f"{task}, unnoted" not in noted()
    assert [(task, 16)] == [call for call in shop.calls.of(16) if call[0] == task]


def test_schedule_keeps_its_entries_as_they_are(shop, scheduler):
    entry = ScheduleEntry("kept", "plain", schedule=3600, args=(17,), app=shop.app)

    scheduler.apply_async(entry)

    assert {} == entry.options == scheduler.schedule["kept"].options
    assert 1 == scheduler.schedule["kept"].total_run_count
