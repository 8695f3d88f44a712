"""A pilot as a run makes it: rows are looked up, the first are called, and the journal keeps them."""

import json
import random
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from askonce.adapters.memory import MemoryStore
from askonce.cli.exits import Exit
from askonce.rows import Row
from producer.bill.estimate import Range
from producer.bill.meter import Meter
from producer.progress.counts import Counts
from producer.progress.reporter import new_progress
from producer.run.begin import go_on, open_journal
from producer.run.billed import Billed
from producer.run.forecast import Forecast
from producer.run.journal import Round
from producer.run.limits import NoBudget
from producer.run.output import beside
from producer.run.piloted import Piloted, called_before
from producer.run.report import Report
from producer.run.wanted import Wanted
from settings.environment import Settings
from settings.prices import ModelPrice
from tasks.catalog import catalog

TASK, ROWS, PILOT = "meetings.extract", 2000, 100
SEEDS = 200
PRICES = {"gpt-6-luna": ModelPrice(input=1, output=4)}
SETTINGS = Settings(_env_file=None, openai_base_url="http://127.0.0.1:1/v1", llm_prices=PRICES)


def looked_up(rows, pilot, **more):
    """Return what a run finds of meetings of random lengths, before it calls any."""
    rng = random.Random(7)
    texts = ("Ana: " + "we ship. " * int(rng.lognormvariate(4, 0.6)) for _ in range(rows))
    payloads = ({"meeting_id": str(n), "transcript": text} for n, text in enumerate(texts))
    store, meter = MemoryStore(), Meter(TASK, SETTINGS)
    forecast = Forecast(spec=catalog(SETTINGS)[TASK], store=store, meter=meter, pilot=pilot, **more)
    forecast.look(Row(number=n, payload=payload) for n, payload in enumerate(payloads, start=1))
    return forecast


@pytest.fixture(scope="module")
def forecast():
    return looked_up(ROWS, PILOT)


@pytest.fixture(scope="module")
def sizes():
    return looked_up(ROWS, ROWS).first


def ended(row, cost, calls=1, status="done"):
    return Report(row=row, status=status, cost_usd=cost, calls=calls)


@pytest.mark.parametrize("spread", [0.5, 0.8, 1.0, 1.3])
def test_cost_of_a_run_is_inside_the_shown_interval_in_19_of_20_seeds(forecast, sizes, spread):
    inside = 0
    for seed in range(SEEDS):
        rng = random.Random(seed)
        costs = {
            row: (size / 4 + 4 * (300 + int(1500 * rng.lognormvariate(0, spread)))) / 1_000_000
            for row, size in sizes.items()
        }
        pilot = Piloted(forecast, {})
        for row in range(1, pilot.last_row + 1):
            pilot.add(ended(row, costs.pop(row)))
        shown = pilot.cost_of_rest
        inside += shown.low <= sum(costs.values()) <= shown.high

    assert (pilot.last_row, pilot.rest, len(costs)) == (PILOT, ROWS - PILOT, ROWS - PILOT)
    assert inside >= SEEDS * 19 / 20


def test_pilot_goes_on_with_the_rows_that_it_called_before():
    pilot = Piloted(looked_up(30, 2, called=range(11, 17)), dict.fromkeys(range(11, 17), 0.25))

    pilot.add(ended(1, 0.25))
    pilot.add(ended(2, 0.0, calls=0))

    assert pilot.last_row == 2
    assert str(pilot).startswith("pilot: 7 rows were called; the other 28 will cost ")


def test_pilot_that_called_enough_before_calls_nothing():
    pilot = Piloted(looked_up(30, 0, called=range(1, 9)), dict.fromkeys(range(1, 9), 0.25))

    assert pilot.last_row is None
    assert pilot.cost_of_rest == pytest.approx(Range(30 * 0.25, 30 * 0.25, 30 * 0.25))


def test_row_of_unknown_cost_makes_the_interval_unknown():
    pilot = Piloted(looked_up(30, 0, called=range(1, 9)), dict.fromkeys(range(1, 9)))

    assert (pilot.cost_of_rest, str(pilot)) == (
        None,
        "pilot: 8 rows were called; the other 30 will cost unknown",
    )


ROUND = Round(name="nightly", uid="1", task=TASK, version="1", started=0.0, holder="here:1")
ENDS = [ended(3, 0.25), ended(1, None, status="failed"), ended(2, 0.0, calls=0), ended(4, 0.5), ended(5, 1.0)]


@pytest.fixture
def wanted(tmp_path):
    return Wanted(task=TASK, inputs=("rows.jsonl",), out=tmp_path / "out.jsonl", pilot=3)


def begun(wanted, ends, **words):
    with open_journal(wanted.out) as journal:
        go_on(journal, replace(ROUND, **words), wanted.out)
        for report in ends:
            journal.add(report)


def test_journal_says_which_rows_were_called_and_at_which_cost(wanted):
    begun(wanted, ENDS)

    assert called_before(wanted) == {3: 0.25, 1: None, 4: 0.5}


def test_new_round_calls_its_pilot_anew(wanted):
    begun(wanted, ENDS)
    anew = replace(wanted, refresh=True)
    before = called_before(anew)
    begun(anew, ENDS[:1], refresh=True)

    assert (before, called_before(anew)) == ({}, {3: 0.25})


def test_run_without_a_journal_leaves_none_behind(wanted):
    assert called_before(wanted) == {}
    assert not beside(wanted.out, "journal").exists()


class PilotOfOne(Billed):
    """A submit of three rows, of which one is the pilot's; nothing is called."""

    _is_asked_about, _called = True, {}

    def _budget(self):
        return NoBudget()

    def _forecast(self):
        unknown = SimpleNamespace(cost_usd=None)
        return SimpleNamespace(
            first={1: 10}, to_call=3, size=30, size_of=lambda _row: 10, estimate=unknown, lines=[]
        )

    def _start(self, _budget, **_words):
        progress = self._progress

        def go():
            progress.update(Counts(rows=1))
            progress.finish()
            return Exit.OK

        return SimpleNamespace(go=go)


def test_rest_of_a_run_is_shown_as_its_pilot_was(wanted, capsys):
    with new_progress(sys.stderr, shown="json") as progress:
        progress.start(TASK, wanted.inputs)
        code = PilotOfOne(replace(wanted, pilot=1, yes=True, shown="json"), progress).go()

    events = [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()]
    assert (Exit.OK, ["started", "ended", "note", "started", "ended"]) == (code, events)
