"""Each alert rule once firing, once silent, once with its series gone: promtool plays the series."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from askonce.adapters.memory import MemoryStore
from askonce.announcements import Announcement
from askonce.letters import MESSAGES_KEPT
from worker.metrics.exposition import Exposition
from worker.metrics.reading import OfStore, Reading

FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus"
RULES = [
    rule for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"] for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule for rule in RULES}
SUCCEEDED = 'askonce_schedule_last_success_timestamp_seconds{entry="%s"}'
#: Each alert: series that make it fire, and those of a quiet day; ``a+bxn`` counts up by b, n times.
PLAYED = {
    "AskonceMetricsAway": ({'up{job="askonce"}': "0x40"}, {}),
    "AskonceStoreAway": ({"askonce_store_up": "0x40"}, {"askonce_store_up": "1x40"}),
    "AskonceBrokerAway": ({"askonce_broker_up": "0x40"}, {"askonce_broker_up": "1x40"}),
    "AskonceStoreFull": (
        {"askonce_store_memory_bytes": "90x40", "askonce_store_memory_limit_bytes": "100x40"},
        {"askonce_store_memory_bytes": "90x40", "askonce_store_memory_limit_bytes": "0x40"},
    ),
    "AskonceEvicted": (
        {"askonce_store_evicted_keys_total": "0+1x40"},
        {"askonce_store_evicted_keys_total": "7x40"},
    ),
    "AskonceNoWorkers": (
        {
            "askonce_workers": "1x40",
            'askonce_queue_workers{queue="bulk"}': "0x40",
            'askonce_queue_messages{queue="bulk"}': "1x40",
        },
        {
            "askonce_workers": "1x40",
            'askonce_queue_workers{queue="bulk"}': "0x40",
            'askonce_queue_messages{queue="bulk"}': "0x40",
        },
    ),
    "AskonceNothingStarts": (
        {
            'askonce_queue_messages{queue="a"}': "3x40",
            'askonce_runs_started_total{task="t"}': "5x40",
            "askonce_workers": "1x40",
            'askonce_pauses{scope="all"}': "0x40",
            'askonce_pauses{scope="queue"}': "0x40",
            'askonce_pauses{scope="tenant"}': "1x40",
        },
        {
            'askonce_queue_messages{queue="a"}': "3x40",
            'askonce_runs_started_total{task="t"}': "5x40",
            "askonce_workers": "1x40",
            'askonce_pauses{scope="all"}': "0x40",
            'askonce_pauses{scope="queue"}': "1x40",
        },
    ),
    "AskonceQueueOld": (
        {'askonce_queue_oldest_seconds{queue="a"}': "901x40"},
        {'askonce_queue_oldest_seconds{queue="a"}': "900x40"},
    ),
    "AskonceWaits": (
        {
            'askonce_wait_seconds_bucket{task="t",le="300.0"}': "0+8x40",
            'askonce_wait_seconds_bucket{task="t",le="600.0"}': "0+10x40",
            'askonce_wait_seconds_bucket{task="t",le="+Inf"}': "0+10x40",
        },
        {
            'askonce_wait_seconds_bucket{task="t",le="300.0"}': "0+10x40",
            'askonce_wait_seconds_bucket{task="t",le="600.0"}': "0+10x40",
            'askonce_wait_seconds_bucket{task="t",le="+Inf"}': "0+10x40",
        },
    ),
    "AskonceJobsFail": (
        {
            'askonce_jobs_total{task="t",outcome="done"}': "0+35x40",
            'askonce_jobs_total{task="t",outcome="failed"}': "0+15x40",
        },
        {
            'askonce_jobs_total{task="t",outcome="done"}': "0+45x40",
            'askonce_jobs_total{task="t",outcome="failed"}': "0+5x40",
        },
    ),
    "AskonceDeadJobs": (
        {'askonce_jobs_total{task="t",outcome="quarantined"}': "0x34 1x6"},
        {'askonce_jobs_total{task="t",outcome="quarantined"}': "0x10 9x30"},
    ),
    "AskonceDeadMessages": (
        {"askonce_dead_messages": "0x34 2x6"},
        {"askonce_dead_messages": "9x34 2x6"},
    ),
    "AskoncePaused": (
        {'askonce_pauses{scope="all"}': "0x400", 'askonce_pauses{scope="run"}': "1x400"},
        {'askonce_pauses{scope="all"}': "0x200 1x200", 'askonce_pauses{scope="run"}': "0x400"},
    ),
    "AskonceLeasesLost": (
        {'askonce_leases_lost_total{task="t"}': "0+5x40"},
        {'askonce_leases_lost_total{task="t"}': "0x38 1x2"},
    ),
    "AskonceFencedWrites": (
        {'askonce_fenced_writes_total{task="t"}': "0+1x40"},
        {'askonce_fenced_writes_total{task="t"}': "0x38 1x2"},
    ),
    "AskonceDegraded": (
        {'askonce_degraded_total{task="t",source="memory"}': "0x39 1x1"},
        {'askonce_degraded_total{task="t",source="memory"}': "0x10 5x30"},
    ),
    "AskonceScheduleLate": (
        {"askonce_schedule_entries": "2x400", SUCCEEDED % "a": "1x200 50000x200", SUCCEEDED % "b": "60x400"},
        {
            "askonce_schedule_entries": "2x400",
            SUCCEEDED % "a": "1x200 50000x200",
            SUCCEEDED % "b": "_x200 0x200",
        },
    ),
    "AskonceProviderMisconfigured": (
        {'askonce_providers_away{cure="person"}': "1x40"},
        {'askonce_providers_away{cure="person"}': "0x40", 'askonce_providers_away{cure="wait"}': "1x40"},
    ),
    "AskonceProviderAway": (
        {'askonce_providers_away{cure="wait"}': "1x40"},
        {'askonce_providers_away{cure="wait"}': "0x38 1x2"},
    ),
    "AskonceBill": (
        {'askonce_cost_usd_total{task="t",model="m"}': "0+1x40"},
        {'askonce_cost_usd_total{task="t",model="m"}': "0+0.5x40"},
    ),
    "AskonceUnpriced": (
        {'askonce_unpriced_calls_total{task="t",model="m"}': "0x38 1x2"},
        {
            'askonce_unpriced_calls_total{task="t",model="m"}': "0x40",
            'askonce_unpriced_calls_total{task="look-up",model=""}': "0+1x40",
        },
    ),
    "AskonceInDoubt": (
        {'askonce_in_doubt{task="t",model="m"}': "0+1x40"},
        {'askonce_in_doubt{task="t",model="m"}': "9x40"},
    ),
}
#: Minutes in each step of the series, and steps in all: some rules look back for a day.
_STEP = 5
_OF_DAYS = {"AskoncePaused", "AskonceScheduleLate"}
_STEPS = {alert: 400 if alert in _OF_DAYS else 40 for alert in ALERTS}


def reading(alert):
    """Return what is there whenever the metrics process reads both servers."""
    there = ('up{job="askonce"}', "askonce_store_up", "askonce_broker_up")
    return dict.fromkeys(there, f"1x{_STEPS[alert]}")


def played(tmp_path, series, steps, state, expected):
    """Return how promtool ended, which plays *steps* of *series* and compares *state* with *expected*."""
    test = {
        "interval": f"{_STEP}m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": state, "eval_time": f"{steps * _STEP}m", "exp_samples": expected}],
    }
    alerts = str(FOLDER / "alerts.yml")
    given = {"rule_files": [alerts], "evaluation_interval": f"{_STEP}m", "tests": [test]}
    path = tmp_path / "played.yml"
    path.write_text(yaml.safe_dump(given))
    command = ["promtool", "test", "rules", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def is_firing(tmp_path, alert, series):
    """Return whether *alert* fires at the end of *series*."""
    state = f'clamp_max(count(ALERTS{{alertname="{alert}",alertstate="firing"}}), 1) or vector(0)'
    ended = played(tmp_path, series, _STEPS[alert], state, [{"labels": "{}", "value": 1}])
    # What is not 1 is 0, or the series cannot be played.
    assert ended.returncode == 0 or "got: {} 0E+00" in ended.stdout + ended.stderr, ended
    return ended.returncode == 0


def exported(*, store=True, broker=True):
    """Return the series of a quiet day, as the metrics process shows them while it reads these servers."""
    kept = MemoryStore()
    levels = replace(kept.levels(), used_bytes=1, most_bytes=100, evicted=0)
    worker = Announcement(worker="w", tasks={}, queues=("askonce",), slots=1)
    of_store = OfStore(counted=kept.tally.totals(), levels=levels, workers=[worker])
    reading = Reading(store=of_store if store else None, queues={"askonce": 0} if broker else None)
    text = Exposition({"orders.enrich": "", "meetings.full": "gpt"}, ["nightly"]).text(reading).decode()
    families = text_string_to_metric_families(text)
    found = {selector(one): f"{one.value:g}x40" for family in families for one in family.samples}
    return {'up{job="askonce"}': "1x40", **found}


def selector(sample):
    """Return the name of *sample* with its labels, as promtool reads it."""
    labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
    return f"{sample.name}{{{labels}}}"


def test_every_alert_is_played():
    assert ALERTS.keys() == PLAYED.keys()


@pytest.mark.parametrize("alert", ALERTS)
def test_alert_names_its_runbook(alert):
    runbook = ALERTS[alert]["annotations"]["runbook_url"]

    assert f"docs/operations.md#alert-{alert.lower()}" == runbook


@pytest.mark.long
@pytest.mark.promtool
@pytest.mark.parametrize("alert", ALERTS)
def test_alert_fires_once_its_time_is_over(tmp_path, alert):
    assert is_firing(tmp_path, alert, reading(alert) | PLAYED[alert][0])


@pytest.mark.long
@pytest.mark.promtool
@pytest.mark.parametrize("alert", ALERTS)
def test_alert_is_silent_on_a_quiet_day(tmp_path, alert):
    assert not is_firing(tmp_path, alert, reading(alert) | PLAYED[alert][1])


@pytest.mark.long
@pytest.mark.promtool
@pytest.mark.parametrize("alert", sorted(ALERTS.keys() - {"AskonceMetricsAway", "AskonceStoreAway"}))
def test_alert_fires_when_its_series_is_gone_while_others_come(tmp_path, alert):
    own = ("askonce_broker_up",) if alert == "AskonceBrokerAway" else ()

    assert is_firing(tmp_path, alert, without(reading(alert), *own))


@pytest.mark.promtool
@pytest.mark.parametrize(("kept", "fires"), [(MESSAGES_KEPT, True), (MESSAGES_KEPT - 1, False)])
def test_full_list_of_dead_messages_fires_although_it_grows_no_more(tmp_path, kept, fires):
    alert = "AskonceDeadMessages"
    series = {"askonce_dead_messages": f"{kept}x40"}

    assert fires == is_firing(tmp_path, alert, reading(alert) | series)


@pytest.mark.long
@pytest.mark.promtool
@pytest.mark.parametrize(
    ("entries", "succeeded", "fires"),
    [
        # Never, since the beginning; and a day with one success in it.
        ("1x400", "0x400", True),
        ("1x400", "0x300 90000x100", False),
        # Its own series is gone, while the schedule has an entry; and a schedule without any.
        ("1x400", None, True),
        ("0x400", None, False),
    ],
)
def test_entry_that_never_succeeded_is_late_after_a_day_and_none_is_not(tmp_path, entries, succeeded, fires):
    alert = "AskonceScheduleLate"
    series = {"askonce_schedule_entries": entries, **({SUCCEEDED % "a": succeeded} if succeeded else {})}

    assert fires == is_firing(tmp_path, alert, reading(alert) | series)


@pytest.mark.long
@pytest.mark.promtool
@pytest.mark.parametrize("alert", ALERTS)
def test_one_alert_fires_when_all_series_are_gone(tmp_path, alert):
    assert ("AskonceMetricsAway" == alert) == is_firing(tmp_path, alert, {})


def without(series, *names):
    """Return *series* without those of these *names*."""
    return {each: values for each, values in series.items() if each.partition("{")[0] not in names}


OF_QUEUES = ("askonce_queue_messages", "askonce_queue_workers", "askonce_queue_oldest_seconds")


@pytest.mark.promtool
@pytest.mark.parametrize(
    ("series", "fires"),
    [
        (exported(), []),
        (exported(broker=False), ["AskonceBrokerAway"]),
        (exported(store=False), ["AskonceStoreAway"]),
        # The rules on the queues cannot know then whether the broker is there.
        (without(exported(broker=False), "askonce_broker_up"), ["AskonceBrokerAway"]),
        (without(exported(), *OF_QUEUES), ["AskonceNoWorkers", "AskonceNothingStarts", "AskonceQueueOld"]),
    ],
    ids=["none", "broker", "store", "whether the broker is there", "queues alone"],
)
def test_server_that_is_away_is_told_by_its_own_alert_alone(tmp_path, series, fires):
    state = 'count by (alertname) (ALERTS{alertstate="firing"})'
    expected = [{"labels": f'{{alertname="{alert}"}}', "value": 1} for alert in fires]

    ended = played(tmp_path, series, 40, state, expected)

    assert 0 == ended.returncode, ended.stdout + ended.stderr


@pytest.mark.promtool
@pytest.mark.parametrize("file", ["alerts.yml", "recording.yml"])
def test_promtool_reads_the_rules(file):
    told = subprocess.run(
        ["promtool", "check", "rules", str(FOLDER / file)], capture_output=True, text=True, check=False
    )

    assert 0 == told.returncode, told
