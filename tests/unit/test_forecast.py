"""What a run would call, as it is said before."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from askonce.errors import Permanent
from askonce.rows import Row
from producer.bill.estimate import Estimate, Range
from producer.run.again import ALL, Again, HowAsked
from producer.run.begin import go_on, open_journal
from producer.run.errors import RunTaken
from producer.run.forecast import Forecast
from producer.run.journal import Round
from producer.run.opened import look
from producer.run.output import beside
from producer.run.report import Report
from producer.run.wanted import Wanted

ESTIMATE = Estimate(
    rows=1, calls=Range(1, 1, 1), input_tokens=None, output_tokens=None, cost_usd=None, basis="a guess"
)


class Meter:
    """Finds each row of the same size."""

    def size(self, _payload):
        return 1

    def add(self, _payload):
        pass


@pytest.fixture
def forecast(scene, raising):
    """Look at a row that was answered 30 seconds ago, one that failed, and one that nobody asked for."""
    scene.answered({"currency": "BRL"})
    scene.clock.advance(30)
    scene.answered({"currency": "EUR"}, raising(Permanent("http_404")))
    names = enumerate(("BRL", "EUR", "USD"), start=1)
    rows = [Row(number=n, payload={"currency": name}) for n, name in names]

    def look(**words):
        found = Forecast(spec=scene.spec, store=scene.store, meter=Meter(), now=lambda: 30.0, **words)
        found.look(rows)
        return found.answered, found.to_call

    return look


@pytest.mark.parametrize(
    ("words", "answered", "to_call"),
    [
        ({}, 2, 1),
        ({"again": Again(not_before=-1.0)}, 2, 1),
        ({"again": Again(not_before=1.0)}, 1, 2),
        ({"again": Again(failed=ALL)}, 1, 2),
        ({"again": Again(failed={2}, not_before=1.0)}, 0, 3),
        ({"again": Again(anew={2, 3}, since=30.0)}, 1, 2),
        ({"has_end": {3}.__contains__}, 3, 0),
        ({"has_end": {1}.__contains__, "again": Again(not_before=30.0)}, 2, 1),
    ],
)
def test_what_a_run_asks_for_again_is_to_be_called(forecast, words, answered, to_call):
    assert (answered, to_call) == forecast(**words)


@pytest.mark.parametrize(("on_mismatch", "distinct", "replacing"), [("replace", 4, 2), ("conflict", 2, 0)])
def test_content_that_replaces_another_of_its_key_is_to_be_called_too(
    scene, on_mismatch, distinct, replacing
):
    contents = [("BRL", "x"), ("BRL", "x"), ("BRL", "y"), ("EUR", "x"), ("BRL", "x")]
    spec = replace(scene.spec, on_mismatch=on_mismatch)
    found = Forecast(spec=spec, store=scene.store, meter=Meter())

    found.look(Row(number=n, payload={"currency": c, "day": d}) for n, (c, d) in enumerate(contents, start=1))

    assert (5, distinct, distinct) == (found.rows, found.distinct, found.to_call)
    assert replacing == found.replacing


def test_forecast_names_rows_of_one_key_with_other_content(scene):
    found = Forecast(spec=scene.spec, store=scene.store, meter=SimpleNamespace(estimate=lambda: ESTIMATE))
    first, second = found.lines[:2]
    found.replacing = 1450

    assert [first, second] == [found.lines[0], found.lines[2]]
    assert found.lines[1] == (
        "1,450 with the key of an earlier row and other content: counted, may be superseded"
    )


INPUTS = SimpleNamespace(names=("rows.jsonl",), read_by=(), digest=lambda: "d")
ROUND = Round(
    name="nightly", uid="1", task="t", version="1", inputs=INPUTS.names, digest="d", started=0.0, holder="h:1"
)


def test_what_a_refresh_has_made_anew_before_it_was_interrupted_is_no_more_to_be_called(tmp_path):
    wanted = Wanted(task="t", inputs=INPUTS.names, out=tmp_path / "out.jsonl", run="nightly")
    refresh = replace(ROUND, refresh=True, not_before=50.0)
    assert not look(wanted, INPUTS, "1")[1](1)
    assert not beside(wanted.out, "journal").exists()
    with open_journal(wanted.out) as journal:
        go_on(journal, refresh, wanted.out)
        journal.add(Report(row=1, status="done"))
    before = beside(wanted.out, "journal").read_bytes()

    # Whoever does not ask for a refresh goes on with it too.
    for words in (wanted, replace(wanted, refresh=True)):
        again, has_end = look(words, INPUTS, "1")
        assert (HowAsked(retries_failure=True, not_before=50.0), True, False) == (
            again.of(2),
            has_end(1),
            has_end(2),
        )
    assert before == beside(wanted.out, "journal").read_bytes()


def test_run_that_goes_on_elsewhere_may_be_looked_at(tmp_path):
    wanted = Wanted(task="t", inputs=INPUTS.names, out=tmp_path / "out.jsonl", run="nightly", dry_run=True)

    with open_journal(wanted.out):
        assert not look(wanted, INPUTS, "1")[1](1)
        with pytest.raises(RunTaken):
            look(replace(wanted, dry_run=False), INPUTS, "1")
