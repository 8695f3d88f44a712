"""A schedule of a Celery app: what its scheduler sends, how slots end, what is refused at the start."""

import pytest
from celery import Celery

from askonce.adapters.celery import AskOnce, IdempotentTask
from askonce.adapters.celery.scheduler import Scheduler
from askonce.adapters.celery.slot_task import firing_of
from askonce.adapters.memory import MemoryStore
from askonce.schedule import DeadLetters, Entry, Every, GoingStale, Policy, StoredFile
from askonce.schedule.firing import LONGEST_TICK, by_hand
from askonce.schedule.site import SLOT
from askonce.schedules import Due, Slot
from askonce.spec import JobSpec
from tests.deadlines import eventually
from tests.integration.conftest import Shop

pytestmark = pytest.mark.integration

#: Far from any slot of a test.
AT = Every(10_000_000)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    file = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    file.write_text('{"n": 1}\n{"n": 2}\n')
    return file


class ScheduledShop(Shop):
    """An app with a schedule."""

    def __init__(self, server, name, rows):
        query = StoredFile(task="add", path=rows)
        missing = StoredFile(task="add", path=rows.with_name("none"))
        self.schedule = [
            Entry(name="rows", at=AT, query=query),
            Entry(name="defaults", at=AT, query=query),
            Entry(name="queued", at=AT, query=query, policy=Policy(overlap="queue_one")),
            Entry(name="missing", at=AT, query=missing, policy=Policy(pause_on_failure=True)),
        ]
        super().__init__(server, name)

    def state(self, name):
        return self.store.schedules.look([name]).states[name]

    def history(self, name):
        return [line.what for line in reversed(self.store.schedules.history(name))]

    def fire(self, name):
        """Start a slot as a scheduler does that dies at once."""
        firing = firing_of(self.once)
        due = by_hand(firing.entries[name], self.store.schedules.look([]).now)
        decided = self.store.schedules.decide(name, due)
        firing.send(name, due.slots[0])
        return decided


@pytest.fixture(scope="module")
def shop(tcp_server, rows):
    with ScheduledShop(tcp_server, "slots", rows).worker(concurrency=2) as shop:
        yield shop


def test_worker_ends_the_slot_that_it_ran_without_any_scheduler(shop):
    shop.fire("rows")

    eventually(lambda: shop.state("rows").open is None, 30)
    line = shop.store.schedules.history("rows")[0]
    assert ["sent", "done"] == shop.history("rows")
    assert 2 == line.facts["asked"]
    assert shop.state("rows").succeeded > 0


def test_slot_asks_for_the_jobs_of_the_tasks_own_callers(shop):
    shop.fire("defaults")
    eventually(lambda: shop.state("defaults").open is None, 30)

    answers = [shop.add.enqueue({"n": n}).result(timeout=20).value for n in (1, 2)]

    assert [2, 3] == answers
    assert [[("add", n, 1)] for n in (1, 2)] == [shop.calls.of(n) for n in (1, 2)]


def test_slot_that_waited_begins_where_the_one_before_ended(shop):
    shop.store.schedules.decide("queued", Due((Slot(1),)))
    firing = firing_of(shop.once)
    shop.store.schedules.decide("queued", Due((Slot(2), Slot(3)), waiting=1))
    firing.send("queued", Slot(2))

    eventually(lambda: 2 == shop.history("queued").count("done"), 30)
    assert ["sent", "waits", "done", "sent", "done"] == shop.history("queued")


def test_slot_that_fails_pauses_its_entry_where_its_policy_says_so(shop):
    shop.fire("missing")

    eventually(lambda: shop.state("missing").open is None, 30)
    assert ["sent", "failed"] == shop.history("missing")
    assert " failed: " in shop.state("missing").paused
    assert 0 == shop.state("missing").succeeded


def test_slot_of_an_entry_that_this_worker_lacks_is_left_to_others(shop):
    key = shop.once.producer.enqueue(SLOT, {"entry": "of another version", "slot": Slot(7).name}).key

    parked = eventually(lambda: shop.store.read([key])[0].parked, 30)

    assert "unknown_entry" == parked.reason


@pytest.fixture
def new_app():
    apps = []

    def make(*schedule, **conf):
        app = Celery("shop", broker="memory://", set_as_current=False)
        app.conf.update(**conf)
        store = MemoryStore()
        AskOnce(app, store=lambda: store, schedule=schedule)
        app.task(name="rates.fetch", base=IdempotentTask, spec=JobSpec(), shared=False)(fetch)
        app.task(name="plain", shared=False)(fetch)
        apps.append(app)
        return app

    yield make
    for app in apps:
        app.close()


def fetch(currency):
    return currency


@pytest.fixture
def new_scheduler(tmp_path):
    schedulers = []

    def make(app, **options):
        schedulers.append(
            Scheduler(app, schedule_filename=str(tmp_path / f"beat-{len(schedulers)}"), **options)
        )
        return schedulers[-1]

    yield make
    for scheduler in schedulers:
        scheduler.close()


def entry(name="night", task="rates.fetch", **more):
    return Entry(**{"name": name, "at": AT, "query": StoredFile(task=task, path=None), **more})


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ((entry(), entry(task="plain")), "schedule: two entries have the name 'night'"),
        (("night",), "schedule: must have entries, not str"),
        (entry(), "schedule: must be a list of entries, not Entry"),
        (None, "schedule: must be a list of entries, not NoneType"),
    ],
)
def test_schedule_that_cannot_be_is_refused_where_it_is_written(schedule, said):
    app = Celery("shop", set_as_current=False)

    with pytest.raises(ValueError, match=said):
        AskOnce(app, store=MemoryStore, schedule=schedule)
    # Corrected, the same app takes it.
    AskOnce(app, store=MemoryStore, schedule=[entry()])


def test_entries_that_no_task_can_answer_end_scheduler_and_worker_by_name(new_app, new_scheduler, capsys):
    stale = entry("stale", query=GoingStale(task="rates.fetch"))
    app = new_app(entry("a", "rates.fech"), entry("b", "plain"), stale, entry("sound"))
    with pytest.raises(SystemExit) as ended:
        new_scheduler(app)
    lines = capsys.readouterr().err.splitlines()
    with pytest.raises(SystemExit):
        app.askonce.start_up.run()

    assert 78 == ended.value.code
    assert [
        "error: schedule: 'a' is of task 'rates.fech', which is no idempotent task of this app",
        "error: schedule: 'b' is of task 'plain', which is no idempotent task of this app",
        "error: schedule: 'stale' makes answers of 'rates.fetch' anew, which keeps no payloads",
    ] == [line.partition("; ")[0] for line in lines]
    assert [line for line in capsys.readouterr().err.splitlines() if "'a'" in line] == lines[:1]
    assert 3 == len([each for each in app.askonce.examine() if each.subject == "schedule"])


def test_scheduler_sends_both_schedules(new_app, new_scheduler):
    plain = {"plain": {"task": "plain", "schedule": 3600, "args": ["BRL"]}}
    app = new_app(entry(at=Every(3600)), beat_schedule=plain, beat_max_loop_interval=60)
    both, own, celerys = new_scheduler(app), new_scheduler(new_app(entry())), new_scheduler(new_app())

    assert ["plain"] == [name for name in both.schedule if not name.startswith("celery.")]
    assert LONGEST_TICK >= both.tick()
    assert LONGEST_TICK >= own.tick()
    assert celerys.tick() > LONGEST_TICK
    store = app.askonce.process().store
    assert store.schedules.look(["night"]).states["night"].last is not None


def test_beat_of_an_app_with_a_schedule_fires_it_unless_the_app_names_another(new_app):
    named = new_app(entry(), beat_scheduler="celery.beat:PersistentScheduler")
    configured = Celery(set_as_current=False, config_source={"beat_scheduler": "worker.signs:Scheduler"})
    AskOnce(configured, store=MemoryStore, schedule=[entry()])

    assert "worker.signs:Scheduler" == configured.conf.beat_scheduler
    assert "askonce.adapters.celery.scheduler:Scheduler" == new_app(entry()).conf.beat_scheduler
    assert {"celery.beat:PersistentScheduler"} == {app.conf.beat_scheduler for app in (named, new_app())}


def test_app_without_a_schedule_has_no_task_of_slots(new_app):
    assert SLOT.name not in new_app().tasks
    assert SLOT.name in new_app(entry(query=DeadLetters(task="rates.fetch"))).tasks
    assert SLOT == new_app(entry()).tasks[SLOT.name].job_spec
