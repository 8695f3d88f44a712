import json
from dataclasses import replace
from pathlib import Path

import pytest

from askonce.execution import Failed
from askonce.schedule import StoredRun
from askonce.schedule.site import InputsUnusable, RunInputs
from producer.run.journal import Journal, Round
from tasks.run_inputs import inputs_of_run

WHOLE = {"name": "rates", "uid": "u", "task": "rates.fetch", "version": "1", "started": 1.0, "holder": "ana"}


@pytest.fixture
def journal(tmp_path):
    """Write the journal of a run as a producer does; return its path."""

    def write(*rounds):
        path = tmp_path / "out.jsonl.journal"
        for fields in rounds:
            with Journal.open(path) as journal:
                list(journal.lines())
                journal.begin(Round(**{**WHOLE, **fields}))
                journal.start()
                journal.send([0])
        return path

    return write


def test_rows_of_a_run_are_asked_for_again_for_its_tenant(one_entry, scene, journal):
    files = [one_entry.folder / name for name in ("a.jsonl", "b.ndjson")]
    for number, file in enumerate(files):
        file.write_text("".join(json.dumps({"currency": f"C{number}{row}"}) + "\n" for row in range(3)))
    path = journal({"inputs": ("gone.csv",)}, {"inputs": tuple(map(str, files)), "tenant": "shop"})
    one_entry.begin(StoredRun(task=one_entry.spec.name, journal=path))
    one_entry.site = replace(one_entry.site, inputs_of_run=inputs_of_run)
    one_entry.after = lambda _: scene.clock.advance(6.0)

    first = one_entry.step()
    tenants = {message.job.tenant for message in scene.sender.sent}
    facts, _ = one_entry.finish()

    assert ("goes_on", {"shop"}) == (first.reason, tenants)
    assert {"asked": 6, "admitted": 6} == facts


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"inputs": ("/rows.jsonl",), "limit": 5}, "the run asked for some rows of its inputs only"),
        ({"inputs": ("/rows.jsonl",), "sample": 5}, "the run asked for some rows of its inputs only"),
        ({"inputs": ("-",)}, "the run read its rows from stdin"),
        ({"inputs": ("rows.jsonl",)}, "input rows.jsonl is relative to the producer's folder"),
        ({"inputs": ("/rows.csv",)}, "input /rows.csv must be JSON lines"),
        ({"inputs": ("/rows.jsonl",), "read_by": ("--map",)}, "the run read its inputs by --map: "),
        ({"inputs": ()}, "is no journal of a run"),
    ],
)
def test_run_whose_rows_cannot_be_had_is_refused_by_name(journal, fields, why):
    with pytest.raises(InputsUnusable, match=rf"^{why}"):
        inputs_of_run(journal(fields))


@pytest.mark.parametrize(
    "content", [b"", b'{"row":1}\n', b'{"run":[]}\n', b'{"run":', b'{"run":{}}\n', b"\xff\n"]
)
def test_other_file_is_no_journal(tmp_path, content):
    path = tmp_path / "journal"
    path.write_bytes(content)

    with pytest.raises(InputsUnusable, match=r"^is no journal of a run$"):
        inputs_of_run(path)
    with pytest.raises(InputsUnusable, match=r"^No such file or directory$"):
        inputs_of_run(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("reads", "why"),
    [
        (None, "StoredRun: this app reads no journals of runs"),
        (inputs_of_run, "nothing: No such file or directory"),
        (lambda _: RunInputs([], "rates.other"), "nothing: the run asked for rates.other"),
    ],
)
def test_entry_of_a_run_that_cannot_be_asked_for_is_refused_by_name(one_entry, scene, reads, why):
    one_entry.begin(StoredRun(task=one_entry.spec.name, journal=Path("nothing")))
    one_entry.site = replace(one_entry.site, inputs_of_run=reads)

    assert isinstance(one_entry.step(), Failed)
    [refused] = scene.heard.named("schedule.refused")
    assert refused.data["reason"].endswith(f": {why}")
