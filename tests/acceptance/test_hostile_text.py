"""Names of fields, tasks, files and reasons that end a line, move a cursor or turn the text around."""

import csv
import json
from pathlib import Path

import pytest

pytestmark = [pytest.mark.acceptance, pytest.mark.long]

STRANGER = str(Path(__file__).with_name("send_raw.py"))
#: What a log, a terminal or a spreadsheet would act on.
HOSTILE = "=x\r\n2026-01-01 00:00:00,000 WARNING forged\x1b[2J\x9b2J\x85\u2028\u202egnp\u2066"


def acted_on(*texts):
    """Return each line of *texts* on which a terminal would act, or that a stranger began."""
    lines = [line for text in texts for line in text.split("\n")]
    return [line for line in lines if not line.isprintable() or line.startswith("2026-01-01")]


@pytest.fixture
def hostile_file(tmp_path):
    """A file of such a name."""

    def write(*rows):
        path = tmp_path / f"{HOSTILE}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return write


@pytest.mark.redis_broker("writes into the list that kombu makes of a queue")
@pytest.mark.parametrize("pool", ["threads", "prefork"])
@pytest.mark.parametrize("form", ["json", "console"])
def test_hostile_message_writes_no_line(new_machine, producer, start, eventually, tmp_path, pool, form):
    machine = new_machine(outside={"failure_rate": 0}, env={"REAP_INTERVAL": "1", "LOG_FORMAT": form})
    machine.start_worker("-P", pool, "-c", "2", "-n", "odd@%h")
    path = tmp_path / "messages.jsonl"
    messages = [[HOSTILE, {"n": 1}], ["customers.lookup", {"cliente_id": "1", HOSTILE: 10**30}]]
    path.write_text("".join(json.dumps(message) + "\n" for message in messages))

    sent = start(machine, STRANGER, str(path), PYTHONPATH=".").finish()
    eventually(lambda: 2 == len(producer(machine, "dead", "list", "--json").out.splitlines()), 60)
    shown = [producer(machine, "-v", "dead", *words) for words in (["list"], ["list", "--json"])]
    letters = [each["id"] for each in shown[1].reports]
    shown.append(producer(machine, "dead", "show", *letters, "--payload"))
    shown.append(producer(machine, "dead", "list", "--task", HOSTILE))
    machine.stop_workers()

    assert 0 == sent.code
    assert [] == acted_on(*(text for told in shown for text in (told.out, told.err)))
    assert HOSTILE in {each.get("task") for each in shown[1].reports}
    assert [] == acted_on((machine.folder / "worker.log").read_text())


def test_hostile_rows_and_file_names_write_no_line(idle_machine, producer, hostile_file, tmp_path):
    rows = hostile_file({"cliente_id": HOSTILE}, {"cliente_id": "1", HOSTILE: 10**30}, {HOSTILE: 1})
    missing, table = f"{rows}.missing", tmp_path / "out.csv"

    commands = [
        ("-v", "submit", "customers.lookup", rows, "--json"),
        ("submit", "customers.lookup", rows, "--out", table, "--dry-run"),
        ("submit", "customers.lookup", missing),
        ("explain", "customers.lookup", rows),
        ("explain", "customers.lookup", missing),
        ("cancel", missing),
        ("result", HOSTILE),
        ("submit", HOSTILE, rows),
        ("pause", "--task", HOSTILE),
        ("pause", "--all", "--note", HOSTILE),
        ("runs", "show", HOSTILE),
        ("dead", "replay", HOSTILE),
        ("cost", "--since", HOSTILE),
        (f"--{HOSTILE}",),
        (HOSTILE,),
        ("doctor", HOSTILE),
    ]

    shown = [producer(idle_machine, *words) for words in commands]

    assert [] == acted_on(*(text for told in shown for text in (told.out, told.err)))
    assert not any("Traceback" in told.err for told in shown)


def test_hostile_ids_and_reasons_write_no_cell(machine, producer, hostile_file, tmp_path):
    rows, table = hostile_file({"cliente_id": "=1+1"}, {"cliente_id": HOSTILE}), tmp_path / "out.csv"

    told = producer(machine, "submit", "customers.lookup", rows, "--out", table)

    assert 1 == told.code
    with table.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    cells = [cell for line in lines for cell in line.values()]
    assert {"'=1+1"} <= {line["id"] for line in lines}
    assert [] == acted_on(*cells, told.out, told.err)
    assert [] == [cell for cell in cells if cell.startswith("=")]
