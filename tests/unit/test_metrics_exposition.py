"""What becomes of counters and levels in the text that Prometheus reads."""

from prometheus_client.parser import text_string_to_metric_families

from askonce.adapters.memory import MemoryStore
from askonce.announcements import Announcement
from askonce.controls import Pause
from askonce.levels import Levels
from askonce.pace.away import Away
from askonce.record import BOUNDS
from askonce.schedules import EntryState
from askonce.tally import Book, Counter
from worker.metrics.exposition import Exposition
from worker.metrics.reading import OfStore, Reading

MODELS = {"orders.enrich": "", "meetings.full": "gpt"}
LEVELS = Levels(
    in_flight=3, dead_jobs=1, dead_messages=2, waits={"fast": 7.0}, keys=9, used_bytes=50, most_bytes=0
)


def reading(counted=None, queues=None, **of_store):
    store = OfStore(counted=counted or {}, levels=LEVELS, **of_store)
    return Reading(store=store, queues={} if queues is None else queues)


def samples(given, exposition=None):
    """Return the samples that are not 0: name and labels, and the value."""
    text = (exposition or Exposition(MODELS)).text(given).decode()
    found = [one for family in text_string_to_metric_families(text) for one in family.samples]
    return {(one.name, *one.labels.values()): one.value for one in found if one.value}


def counter(what, amount=1, task="meetings.full", tenant="", model=""):
    return {Counter(task, tenant, model, what): amount}


def test_tenants_are_summed_up_and_named_nowhere():
    counted = counter("done", 2, tenant="acme") | counter("done", 3, tenant="umbrella")

    text = Exposition(MODELS).text(reading(counted)).decode()

    assert 'askonce_jobs_total{outcome="done",task="meetings.full"} 5.0' in text
    assert "acme" not in text


def test_tasks_that_are_not_of_the_catalog_share_one_name():
    counted = counter("admitted", 2, task="any") | counter("admitted", 3, task="other")

    assert {("askonce_enqueued_total", "admitted", "other"): 5.0}.items() <= samples(reading(counted)).items()


def test_money_is_named_by_task_and_model_in_dollars():
    counted = counter("micro_usd", 1_234_567, model="gpt") | counter("avoided_micro_usd", 1, model="gpt")

    found = samples(reading(counted))

    assert 1.234567 == found["askonce_cost_usd_total", "gpt", "meetings.full"]
    assert 0.000001 == found["askonce_avoided_usd_total", "gpt", "meetings.full"]


def test_models_beyond_the_limit_share_one_name_and_none_changes_its_own():
    exposition = Exposition(MODELS)
    counted = {}
    for n in range(30):
        counted |= counter("calls", 1, model=f"m{n:02}")
    first = samples(reading(counted), exposition)
    counted |= counter("calls", 1, model="a")

    second = samples(reading(counted), exposition)

    of_other = ("askonce_calls_total", "other", "meetings.full")
    assert (1, 1) == (
        second.get(of_other, 0) - first.get(of_other, 0),
        first["askonce_calls_total", "m00", "meetings.full"],
    )
    assert first.keys() == second.keys()


def test_buckets_of_a_histogram_hold_all_that_is_below_them():
    counted = (
        counter("wait:50", 2) | counter("wait:1000", 3) | counter("wait:inf", 1) | counter("wait_ms", 7500)
    )

    found = samples(reading(counted))

    at = {bound: found.get(("askonce_wait_seconds_bucket", str(bound), "meetings.full")) for bound in BOUNDS}
    assert (2, 2, 5, 5) == (at[0.05], at[0.5], at[1.0], at[1800.0])
    assert 6 == found["askonce_wait_seconds_bucket", "+Inf", "meetings.full"]
    assert (6, 7.5) == tuple(
        found[f"askonce_wait_seconds_{each}", "meetings.full"] for each in ("count", "sum")
    )


def test_duplicates_are_told_by_the_place_that_knew():
    counted = counter("attached", 5) | counter("hit", 4) | counter("hit_in_memory", 1) | counter("copy", 2)
    counted |= counter("negative", 1) | counter("backoff", 2)

    found = samples(reading(counted))

    places = {key[1]: value for key, value in found.items() if key[0] == "askonce_duplicates_total"}
    assert {"flight": 5, "record": 3, "memory": 1, "failure": 3, "worker": 2} == places


def test_leases_that_are_held_are_starts_without_ends():
    counted = counter("wait:50", 7) | counter("restarted", 3) | counter("run:50", 4) | counter("parked", 2)
    counted |= counter("lost", 1)

    found = samples(reading(counted))

    assert 10 == found["askonce_runs_started_total", "meetings.full"]
    assert 3 == found["askonce_leases", "meetings.full"]


def test_workers_queues_and_providers_are_counted():
    both = Announcement(worker="a", tasks={}, queues=("fast", "slow"), slots=4)
    one = Announcement(worker="b", tasks={}, queues=("fast",), slots=60)
    away = [
        Away("llm", "http_401", 3.0, configuration=True),
        Away("crm", "http_503", 3.0, configuration=False),
    ]

    given = reading(queues={"fast": 5, "slow": 0, "odd": None}, workers=[both, one], away=away)
    found = samples(given)

    assert {
        ("askonce_workers",): 2,
        ("askonce_worker_slots",): 64,
        ("askonce_queue_workers", "fast"): 2,
        ("askonce_queue_workers", "slow"): 1,
        ("askonce_queue_messages", "fast"): 5,
        ("askonce_queue_oldest_seconds", "fast"): 7,
        ("askonce_providers_away", "person"): 1,
        ("askonce_providers_away", "wait"): 1,
        ("askonce_jobs_in_flight",): 3,
        ("askonce_dead_jobs",): 1,
        ("askonce_dead_messages",): 2,
        ("askonce_store_keys",): 9,
        ("askonce_store_memory_bytes",): 50,
    }.items() <= found.items()
    assert ("askonce_queue_messages", "odd") not in found


def test_pauses_are_counted_by_scope_and_none_is_0():
    text = (
        Exposition(MODELS).text(reading(pauses=[Pause("all"), Pause("run", "a"), Pause("run", "b")])).decode()
    )

    found = {line for line in text.splitlines() if line.startswith("askonce_pauses")}
    counts = {"all": 1, "queue": 0, "task": 0, "tenant": 0, "run": 2, "model": 0}
    assert {f'askonce_pauses{{scope="{scope}"}} {float(n)}' for scope, n in counts.items()} == found


def test_servers_that_cannot_be_read_have_no_series_but_that():
    assert {} == samples(Reading(store=None, queues=None))
    text = Exposition(MODELS).text(Reading(store=None, queues=None)).decode()
    lines = {line for line in text.splitlines() if line[0] != "#"}
    assert {"askonce_store_up 0.0", "askonce_broker_up 0.0", "askonce_read_seconds 0.0"} == lines


def test_number_of_series_is_constant_over_a_thousand_worker_restarts():
    store, exposition, seen = MemoryStore(), Exposition(MODELS), set()

    for n in range(1000):
        worker = Announcement(
            worker=f"w@host:{n}", tasks={"meetings.full": "1"}, queues=("askonce",), slots=4
        )
        store.announcements.announce(worker, 15.0)
        book = Book("meetings.full", f"tenant-{n}", "gpt", (("calls", 1), ("micro_usd", 9), ("in_doubt", 1)))
        store.tally.book_late(f"{n:064}", f"owner-{n}", book)
        if n % 100 == 99:
            workers, levels = store.announcements.workers(), store.levels()
            of_store = OfStore(counted=store.tally.totals(), levels=levels, workers=workers)
            text = exposition.text(Reading(store=of_store, queues={"askonce": n}))
            seen.add(len(text.splitlines()))
        store.announcements.withdraw(worker.worker)

    assert 1 == len(seen)


def test_entries_of_the_schedule_show_their_last_success_and_0_for_never():
    store = MemoryStore(lambda: 1_800_000_000.5)
    for entry in ("nightly", "of an older schedule"):
        store.tally.succeeded(entry)

    text = Exposition(MODELS, ["nightly", "weekly"]).text(reading(successes=store.tally.successes())).decode()

    name = "askonce_schedule_last_success_timestamp_seconds"
    shown = [line for line in text.splitlines() if line.startswith("askonce_schedule_")]
    assert [
        "askonce_schedule_entries 2.0",
        f'{name}{{entry="nightly"}} 1.8000000005e+09',
        f'{name}{{entry="weekly"}} 0.0',
    ] == [line for line in shown if "paused" not in line]


def test_entries_whose_slots_the_store_decides_show_last_success_and_pause():
    states = {"a": EntryState(succeeded=1_800_000_000_500), "b": EntryState(paused="too dear")}

    text = Exposition(MODELS, ["plain", "a", "b"]).text(reading(entries=states)).decode()

    success, paused = "askonce_schedule_last_success_timestamp_seconds", "askonce_schedule_paused"
    assert [
        "askonce_schedule_entries 3.0",
        f'{success}{{entry="plain"}} 0.0',
        f'{success}{{entry="a"}} 1.8000000005e+09',
        f'{success}{{entry="b"}} 0.0',
        f'{paused}{{entry="plain"}} 0.0',
        f'{paused}{{entry="a"}} 0.0',
        f'{paused}{{entry="b"}} 1.0',
    ] == [line for line in text.splitlines() if line.startswith("askonce_schedule_")]


def test_installation_without_a_schedule_says_so():
    text = Exposition(MODELS).text(reading()).decode()

    assert ["askonce_schedule_entries 0.0"] == [
        line for line in text.splitlines() if line.startswith("askonce_schedule_")
    ]
