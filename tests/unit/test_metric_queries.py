"""Each query of the alerts, of the recording rules and of the dashboard reads series that are exported."""

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from askonce.adapters.memory import MemoryStore
from tests.unit.metric_queries import OF_PROMETHEUS, grouped_by, selectors
from worker.metrics.exposition import Exposition
from worker.metrics.reading import OfStore, Reading
from worker.metrics.series import Series

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana" / "askonce.json").read_text())
#: Labels that Prometheus adds, and that of a histogram.
LABELS = {"le", "job", "instance"}


def rules_of(name):
    groups = yaml.safe_load((DEPLOY / "prometheus" / name).read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def queries():
    """Return every query by a name that tells where it stands."""
    found = {f"alert {rule['alert']}": rule["expr"] for rule in rules_of("alerts.yml")}
    found |= {
        f"{rule['record']} {rule.get('labels', '')}": rule["expr"] for rule in rules_of("recording.yml")
    }
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            found[f"panel {panel['title']} {target['refId']}"] = target["expr"]
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["definition"]).groups()
            found[f"variable {variable['name']}"] = f"sum by ({label}) ({metric})"
    return found


QUERIES = queries()


def exported():
    """Return the samples of a store in which nothing has happened yet: name and labels of each."""
    store = MemoryStore()
    levels = replace(store.levels(), used_bytes=1, most_bytes=1, evicted=0)
    reading = Reading(store=OfStore(counted=store.tally.totals(), levels=levels), queues={"askonce": 0})
    text = Exposition({"orders.enrich": "", "meetings.full": "gpt"}, ["nightly"]).text(reading).decode()
    return [
        (sample.name, sample.labels)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]


EXPORTED = exported()


def unknown(query):
    """Return what *query* reads and no sample has."""
    return [
        each
        for each in selectors(query)
        if each.metric not in OF_PROMETHEUS
        and not any(name == each.metric and each.meets(labels) for name, labels in EXPORTED)
    ]


@pytest.mark.parametrize("place", QUERIES)
def test_query_reads_series_that_are_exported(place):
    assert [] == unknown(QUERIES[place])
    assert selectors(QUERIES[place]), "a query reads something"


@pytest.mark.parametrize("place", QUERIES)
def test_query_groups_by_labels_that_its_series_have(place):
    query = QUERIES[place]
    read = {each.metric for each in selectors(query)}
    has = {label for name, labels in EXPORTED for label in labels if name in read}

    assert grouped_by(query) <= has | LABELS


@pytest.mark.parametrize(
    ("sound", "broken"),
    [
        ("askonce_jobs_total", "askonce_job_total"),
        ('outcome="quarantined"', 'outcome="quarantine"'),
        ("askonce_wait_seconds_bucket", "askonce_wait_seconds"),
        ('place="record"', 'spot="record"'),
    ],
)
def test_renamed_series_label_or_value_is_noticed(sound, broken):
    touched = [query for query in QUERIES.values() if sound in query]
    assert touched

    for query in touched:
        assert unknown(query.replace(sound, broken)), query


def test_every_series_is_exported_from_the_start():
    names = {name.removesuffix("_bucket") for name, _ in EXPORTED}

    assert {each.metric for each in Series} - names == set()


def test_every_series_is_on_the_dashboard():
    read = {each.metric.removesuffix("_bucket") for query in QUERIES.values() for each in selectors(query)}

    assert {each.metric for each in Series} - read == set()


def test_sample_has_the_labels_of_its_series():
    labels = {each.metric: set(each.labels) for each in Series}
    for name, has in EXPORTED:
        metric = re.sub("_(bucket|sum|count)$", "", name)
        assert labels[metric] == set(has) - {"le"}


def test_recording_rules_have_the_names_that_others_know():
    recorded = {(rule["record"], tuple(rule.get("labels", {}).items())) for rule in rules_of("recording.yml")}

    assert recorded == {
        ("cache_hits_total", (("backend", "redis"),)),
        ("cache_hits_total", (("backend", "memory"),)),
        ("cache_misses_total", ()),
        ("cache_size", ()),
        ("openai_tokens_total", ()),
        ("openai_estimated_cost_usd", ()),
    }


def test_panels_of_the_dashboard_do_not_overlap():
    taken = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        own = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not own & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= own


def test_page_of_the_metrics_names_every_series_and_no_other():
    page = (DEPLOY.parent / "docs" / "metrics.md").read_text()
    rows = "".join(line for line in page.splitlines() if line.startswith("| `askonce_"))

    assert {each.metric for each in Series} == set(re.findall(r"`(askonce_\w+)`", rows.split("| `cache_")[0]))


@pytest.mark.promtool
def test_promtool_reads_every_query(tmp_path):
    rules = [
        {"record": f"query:{number}", "expr": query.replace("$__rate_interval", "5m").replace("$task", ".*")}
        for number, query in enumerate(QUERIES.values())
    ]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))

    told = subprocess.run(
        ["promtool", "check", "rules", str(path)], capture_output=True, text=True, check=False
    )

    assert 0 == told.returncode, told
