"""A run as its caller meets it: one file out, resumable, paid once, stopped in time."""

import json
import os
import random
import signal
import subprocess
import sys
from secrets import token_hex

import pytest

from sandbox.machine import ROOT
from sandbox.outside import openai_wire
from tests.acceptance.outputs import cost_of, ends, lines, told_of
from tests.deadlines import stretched

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(240)]

TASK = "meetings.extract"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.jsonl"


@pytest.fixture
def meetings(rows_file):
    """Write so many meetings that nobody asked for yet; return the file."""

    def meeting(own):
        said = f"Ana: We decided to ship version {own} on Friday.\nBruno: I will write the notes."
        return {"meeting_id": own, "transcript": said}

    def write(count, copies=1):
        rows = [meeting(token_hex(8)) for _ in range(count)]
        return rows_file(*(row for _ in range(copies) for row in rows))

    return write


def spent(machine, since):
    now = machine.ledger.openai
    return now.answered - since.answered, now.surplus - since.surplus


def test_output_has_one_line_for_each_row_in_the_order_of_the_input(machine, producer, meetings, out):
    before = machine.ledger.openai
    told = producer(machine, "submit", TASK, meetings(10, copies=2), "--out", out)

    assert (0, "") == (told.code, told.out)
    assert [*range(1, 21)] == [line["row"] for line in lines(out)]
    assert ["done"] * 20 == [line["status"] for line in lines(out)]
    assert [line["id"] for line in lines(out)[:10]] == [line["id"] for line in lines(out)[10:]]
    assert (10, 0) == spent(machine, before)
    paid = [line["cost_usd"] for line in lines(out)]
    assert all(cost > 0 for cost in paid[:10])
    assert [0] * 10 == paid[10:]
    assert not out.with_name("out.jsonl.part").exists()
    assert not out.with_name("out.jsonl.errors.jsonl").exists()


def test_same_command_asks_for_nothing_twice(machine, producer, meetings, out):
    file = meetings(5)
    producer(machine, "submit", TASK, file, "--out", out)
    first, before = out.read_bytes(), machine.ledger.openai
    out.unlink()

    told = producer(machine, "submit", TASK, file, "--out", out)

    assert 0 == told.code
    assert "5 rows: 5 answered before" in told.complaints
    assert (first, (0, 0)) == (out.read_bytes(), spent(machine, before))


@pytest.mark.parametrize("seed", [0, *(pytest.param(each, marks=pytest.mark.long) for each in (1, 2))])
def test_killed_producer_goes_on_and_nothing_is_paid_twice(machine, start, producer, meetings, out, seed):
    file, draws = meetings(40, copies=2), random.Random(seed)
    before = machine.ledger.openai
    machine.control(llm_latency=0.2)
    command = ("-m", "producer", "submit", TASK, str(file), "--out", str(out), "--max-queued", "8")
    for _ in range(4):
        killed_at = draws.randrange(1, 12) + ends(out)
        running = start(machine, *command)
        while ends(out) < killed_at and running.process.poll() is None:
            pass
        running.process.kill()
        running.process.wait()
    told = producer(machine, *command[2:])

    assert 0 == told.code, told.err
    assert [*range(1, 81)] == [line["row"] for line in lines(out)]
    assert (40, 0) == spent(machine, before)
    now = machine.ledger.openai
    tokens = now.input_tokens - before.input_tokens, now.output_tokens - before.output_tokens
    price = json.loads(machine.env["LLM_PRICES"]).popitem()[1]
    cost = (tokens[0] * price["input"] + tokens[1] * price["output"]) / 1e6
    assert cost == pytest.approx(cost_of(out), abs=1e-6)
    whole = out.with_name("whole.jsonl")
    producer(machine, "submit", TASK, file, "--out", whole)
    assert told_of(whole) == told_of(out)


@pytest.mark.parametrize("words", [(), ("--retry-failed",)], ids=["the same", "failures again"])
def test_ctrl_c_keeps_what_is_answered_and_says_how_to_go_on(machine, start, producer, meetings, out, words):
    file, before = meetings(6), machine.ledger.openai
    machine.control(hold=True)
    command = ("submit", TASK, str(file), "--out", str(out))
    running = start(machine, "-m", "producer", *command)
    # The pace may let no more calls begin: nobody knows yet what the model accepts.
    assert machine.wait_for_held(2, stretched(30))
    running.process.send_signal(signal.SIGINT)
    told = running.finish()
    machine.control(hold=False)

    assert 130 == told.code
    assert any(line.startswith("6 rows are with the workers") for line in told.complaints)
    assert any("the same command goes on" in line for line in told.complaints)
    again = producer(machine, *command, *words)
    assert (0, ["done"] * 6) == (again.code, [line["status"] for line in lines(out)])
    assert (6, 0) == spent(machine, before)
    # Their calls had begun under the first start: this run pays for them.
    assert all(line["cost_usd"] > 0 for line in lines(out))


def test_second_producer_of_a_run_is_told_who_has_it(machine, start, producer, meetings, out):
    file = meetings(1)
    machine.control(hold=True)
    name = ("--run", f"run-{out.parent.name}")
    running = start(machine, "-m", "producer", "submit", TASK, str(file), "--out", str(out), *name)
    assert machine.wait_for_held(1, stretched(30))

    same_file = producer(machine, "submit", TASK, file, "--out", out)
    elsewhere = producer(machine, "submit", TASK, file, "--out", out.with_name("other.jsonl"), *name)
    machine.control(hold=False)

    assert [75, 75] == [same_file.code, elsewhere.code]
    holder = f"{os.uname().nodename}:{running.process.pid}"
    assert holder in same_file.complaints[-1]
    assert holder in elsewhere.complaints[-1]
    assert 0 == running.finish().code


def test_inputs_that_changed_are_told(machine, producer, meetings, out):
    file = meetings(2)
    producer(machine, "submit", TASK, file, "--out", out)
    before = out.read_bytes()
    with file.open("ab") as stream:
        stream.write(b'{"meeting_id": "another", "transcript": "Ana: Yes."}\n')

    told = producer(machine, "submit", TASK, file, "--out", out)

    assert 2 == told.code
    assert told.complaints[-1].startswith("The inputs were changed since the run of this output began")
    assert before == out.read_bytes()


def test_failed_rows_have_a_file_of_their_own_and_are_asked_for_again(
    machine, producer, rows_file, new_order, out
):
    file = rows_file({"order_id": "x"}, new_order(), b"{")

    told = producer(machine, "submit", "orders.enrich", file, "--out", out)
    same = producer(machine, "submit", "orders.enrich", file, "--out", out)
    again = producer(machine, "submit", "orders.enrich", file, "--out", out, "--retry-failed")

    failed = out.with_name("out.jsonl.errors.jsonl")
    errors = lines(failed)
    assert (1, "3 rows: 2 invalid, 1 answered before") == (same.code, same.total)
    assert f"2 rows failed at an earlier start: see {failed}" in same.problems
    assert (1, [1, 3]) == (told.code, [line["row"] for line in errors])
    assert "cliente_id" == errors[0]["error"]["field"]
    assert "3 rows: 2 invalid, 1 answered before" in again.complaints


def test_full_disk_ends_with_one_line_and_loses_nothing(machine, producer, meetings, out):
    file, before = meetings(6), machine.ledger.openai
    limited = (
        "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000));"
        "sys.argv[0] = 'producer'; runpy.run_module('producer', run_name='__main__', alter_sys=True)"
    )
    command = ("submit", TASK, str(file), "--out", str(out))
    done = subprocess.run(
        [
            sys.executable,
            # Without compiled files, which would be cut off too.
            "-B",
            "-c",
            limited,
            *command,
        ],
        cwd=ROOT,
        env=machine.env,
        capture_output=True,
        text=True,
        check=False,
    )
    told = producer(machine, *command)

    assert 74 == done.returncode, done.stderr
    assert "Traceback" not in done.stderr
    assert "The output cannot be written" in done.stderr
    assert (0, 6) == (told.code, len(lines(out)))
    assert (6, 0) == spent(machine, before)
    assert all(line["cost_usd"] > 0 for line in lines(out))


@pytest.fixture
def priced_machine(new_machine):
    """A machine whose model has a price, and a limit of each answer."""
    machine = new_machine(env={"OPENAI_MODEL": openai_wire.MODEL, "LLM_MAX_OUTPUT_TOKENS": "2000"})
    machine.start_worker("-P", "threads", "-c", "32")
    return machine


def test_limit_in_dollars_is_not_passed_and_the_rest_is_paid_once(priced_machine, producer, meetings, out):
    machine, file = priced_machine, meetings(300)
    sums = producer(machine, "submit", TASK, file, "--out", out, "--dry-run", "--json").report
    assert (300, 300) == (sums["rows"], sums["to_call"])
    assert [] == list(out.parent.glob("out.jsonl*"))
    words = producer(machine, "submit", TASK, file, "--dry-run", "--quiet")
    assert ("", "300 rows: 0 invalid, 300 distinct, 0 already answered, 0 in flight, 300 to be called") == (
        words.err,
        words.out.splitlines()[0],
    )
    command = ("submit", TASK, file, "--out", out)

    told = producer(machine, *command, "--max-cost", "0.12")

    assert 3 == told.code, told.err
    rows, parts = told.total.split(" of 300 rows: ")
    assert int(rows) == sum(int(part.split()[0]) for part in parts.split(", "))
    journal = out.with_name("out.jsonl.journal")
    paid = sum(line["cost_usd"] for line in lines(journal) if "row" in line)
    assert 0.05 < paid <= 0.12
    rest = producer(machine, *command)
    assert (0, 300) == (rest.code, len(lines(out)))
    assert (300, 0) == (machine.ledger.openai.answered, machine.ledger.openai.surplus)


def test_limit_in_dollars_without_a_price_is_refused_with_the_way_out(
    machine, producer, rows_file, new_order
):
    told = producer(machine, "submit", "orders.enrich", rows_file(new_order()), "--wait", "--max-cost", "1")

    assert 2 == told.code
    assert "--max-calls" in told.complaints[-1]


def test_run_that_is_cancelled_ends_unpaid_and_goes_on_later(machine, start, producer, meetings, out):
    file, before = meetings(60), machine.ledger.openai
    machine.control(hold=True)
    command = ("submit", TASK, str(file), "--out", str(out), "--run", f"run-{out.parent.name}")
    running = start(machine, "-m", "producer", *command)
    assert machine.wait_for_held(4, stretched(30))

    cancelled = producer(machine, "cancel", f"run-{out.parent.name}")
    machine.control(hold=False)
    told = running.finish()

    assert 0 == cancelled.code, cancelled.err
    assert 3 == told.code, told.err
    assert any(line.startswith("stopped: by request: ") for line in told.complaints)
    assert not out.exists()
    calls, _ = spent(machine, before)
    assert 4 <= calls <= 40
    again = producer(machine, *command)
    assert (0, ["done"] * 60) == (again.code, [line["status"] for line in lines(out)])
    assert (60, 0) == spent(machine, before)


def test_run_is_shown_to_those_who_watch(machine, producer, meetings, out):
    name = f"run-{out.parent.name}"
    producer(machine, "submit", TASK, meetings(3), "--out", out, "--run", name)

    shown = producer(machine, "runs", "show", name, "--json").report

    assert ("done", TASK) == (shown["state"], shown["task"])
    assert (3, 3, 3) == tuple(shown["facts"][what] for what in ("rows", "done", "calls"))
    assert shown["facts"]["cost_usd"] == pytest.approx(cost_of(out), abs=1e-6)


@pytest.mark.long
def test_refresh_makes_each_answer_anew_once(machine, producer, meetings, out):
    file, before = meetings(3, copies=2), machine.ledger.openai
    producer(machine, "submit", TASK, file, "--out", out)

    told = producer(machine, "submit", TASK, file, "--out", out, "--refresh")

    assert 0 == told.code
    assert 6 == machine.ledger.openai.answered - before.answered


@pytest.mark.long
@pytest.mark.parametrize("some", [(), ("--limit", "1"), ("--sample", "1")], ids=["all", "first", "any"])
def test_refresh_that_is_interrupted_is_finished_and_pays_for_no_other_row(
    machine, start, producer, meetings, out, some
):
    file, before = meetings(3), machine.ledger.openai
    command = ("submit", TASK, str(file), "--out", str(out))
    producer(machine, *command)
    machine.control(hold=True)
    running = start(machine, "-m", "producer", *command, "--refresh", *some)
    assert machine.wait_for_held(1, stretched(30))
    running.process.send_signal(signal.SIGINT)
    interrupted = running.finish()
    machine.control(hold=False)

    told = producer(machine, *command)

    assert (130, 0, 3) == (interrupted.code, told.code, len(lines(out)))
    assert 3 + (1 if some else 3) == machine.ledger.openai.answered - before.answered


def test_pilot_without_a_terminal_stops_after_its_rows(machine, producer, meetings, out):
    file, before, name = meetings(30), machine.ledger.openai, f"run-{out.parent.name}"
    command = ("submit", TASK, file, "--out", out, "--run", name)

    told = producer(machine, *command, "--pilot", "8")

    assert 3 == told.code, told.err
    assert "stopped" == producer(machine, "runs", "show", name, "--json").report["state"]
    assert (8, 0) == spent(machine, before)
    assert any(
        line.startswith("pilot: 8 rows were called; the other 22 will cost $0.") for line in told.complaints
    )
    rest = producer(machine, *command, "--pilot", "8", "--yes")
    assert (0, 30) == (rest.code, len(lines(out)))
    assert (30, 0) == spent(machine, before)


PIPED = """
import subprocess, sys
command = [sys.executable, "-m", "producer", "submit", "orders.enrich", "-", "--out", sys.argv[2]]
sys.exit(subprocess.run(command, input=sys.argv[1].encode()).returncode)
"""


@pytest.mark.long
def test_other_rows_on_stdin_are_not_taken_for_those_of_before(machine, start, new_order, out):
    def piped(*orders):
        return start(machine, "-c", PIPED, "\n".join(map(json.dumps, orders)), str(out)).finish()

    order, last = new_order(), new_order()
    assert 0 == piped(order, last).code
    before = out.read_bytes()
    same, other, fewer = piped(order, last), piped(new_order(), last), piped(order)

    assert (0, 2, 2) == (same.code, other.code, fewer.code)
    assert "choose another --out" in other.complaints[-1]
    assert "row 2: is missing, and was there before" in fewer.complaints[-1]
    assert before == out.read_bytes()


NO_FILE = "is a folder, a link or a device: it must be a plain file"


@pytest.mark.parametrize(
    ("name", "why"), [("rows", "is an input of the run"), ("folder", NO_FILE), ("link", NO_FILE)]
)
def test_output_that_would_replace_something_is_refused_before_a_call(
    machine, producer, meetings, tmp_path, name, why
):
    file, before = meetings(1), machine.ledger.openai
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(file)
    place = file if name == "rows" else tmp_path / name
    content = file.read_bytes()

    told = producer(machine, "submit", TASK, file, "--out", place)

    complaint = f"--out names what cannot be an output: file={place} reason={why}"
    assert (2, [complaint]) == (told.code, told.complaints)
    assert (content, (0, 0)) == (file.read_bytes(), spent(machine, before))


def test_glob_that_matches_the_output_reads_the_same_inputs_again(machine, producer, meetings, tmp_path):
    out, before = tmp_path / "all.jsonl", machine.ledger.openai
    meetings(2)
    command = ("submit", TASK, tmp_path / "*.jsonl", "--out", out)
    first, again = producer(machine, *command), producer(machine, *command)

    assert (0, 0, 2) == (first.code, again.code, len(lines(out))), again.err
    assert (2, 0) == spent(machine, before)


def test_empty_input_leaves_no_output(machine, producer, meetings, tmp_path, out):
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b"")
    told = producer(machine, "submit", TASK, file, "--out", out)
    file.write_bytes(meetings(1).read_bytes())
    again = producer(machine, "submit", TASK, file, "--out", out)

    assert (2, 0) == (told.code, again.code), again.err
