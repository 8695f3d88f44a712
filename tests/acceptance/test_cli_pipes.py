"""The command line between other programs: rows come from a pipe, and ``head`` closes stdout."""

import json
import os
import signal

import pytest

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120), pytest.mark.long]

#: A program that reads one line of what the command line writes.
HEAD = """
import subprocess, sys
command = [sys.executable, "-m", "producer", *sys.argv[1:]]
with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
    sys.stdout.buffer.write(process.stdout.readline())
    process.stdout.close()
sys.exit(process.returncode)
"""


def test_rows_of_a_pipe_are_enqueued_as_they_come_and_ctrl_c_ends_a_silent_one(
    idle_machine, start, new_order, tmp_path, eventually
):
    pipe = tmp_path / "orders.jsonl"
    os.mkfifo(pipe)
    running = start(idle_machine, "-m", "producer", "submit", "orders.enrich", str(pipe), "--json")

    with pipe.open("wb", buffering=0) as orders:
        for number in (1, 2):
            orders.write(json.dumps(new_order()).encode() + b"\n")
            eventually(lambda number=number: number == running.out.read_bytes().count(b"\n"))
        running.process.send_signal(signal.SIGINT)
        told = running.finish()

    assert (130, ["admitted"] * 2) == (told.code, [report["status"] for report in told.reports])


#: A file on a full disk takes what the command line writes.
FULL = """
import os, sys
os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
os.execv(sys.executable, [sys.executable, "-m", "producer", *sys.argv[1:]])
"""

#: A shell that has closed one of the three streams, as `<&-` does.
CLOSED = """
import os, sys
os.close(int(sys.argv[1]))
os.execv(sys.executable, [sys.executable, "-m", "producer", *sys.argv[2:]])
"""


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_run_with_a_closed_stream_goes_on_without_it(machine, start, rows_file, new_order, tmp_path, closed):
    file, out = rows_file(new_order()), tmp_path / "out.jsonl"

    told = start(
        machine, "-c", CLOSED, str(closed), "submit", "orders.enrich", str(file), "--out", str(out)
    ).finish()

    assert (0, ["done"]) == (
        told.code,
        [json.loads(line)["status"] for line in out.read_text().splitlines()],
    ), told.err


def test_rows_for_a_closed_stdout_are_refused_before_any_is_enqueued(idle_machine, start, rows_file):
    file = rows_file({"order_id": "CLOSED-1", "cliente_id": 1})

    told = start(idle_machine, "-c", CLOSED, "1", "submit", "orders.enrich", str(file), "--json").finish()

    assert (74, True) == (told.code, told.complaints[-1].endswith("file=stdout reason=is closed")), told.err


def test_run_whose_stdout_is_closed_stops_with_141_and_says_why(idle_machine, start, rows_file):
    file = rows_file(*({"order_id": f"PIPED-{n}", "cliente_id": n} for n in range(5001, 8001)))

    told = start(idle_machine, "-c", HEAD, "submit", "orders.enrich", str(file), "--json").finish()

    assert (141, "admitted") == (told.code, told.report["status"])
    assert "stopped: the program that reads stdout has closed it" in told.complaints
    assert "Traceback" not in told.err


@pytest.mark.parametrize(
    ("verb", "option"), [("submit", "--json"), ("submit", "--dry-run"), ("explain", "--")]
)
def test_full_disk_behind_stdout_is_one_line_and_74(idle_machine, start, rows_file, verb, option):
    file = rows_file({"order_id": "FULL-1", "cliente_id": 1})

    told = start(idle_machine, "-c", FULL, verb, option, "orders.enrich", str(file)).finish()

    assert 74 == told.code, told.err
    assert any(line.endswith("No space left on device") for line in told.complaints)
    assert "Traceback" not in told.err
    assert "Exception ignored" not in told.err


@pytest.mark.parametrize("word", ["--version", "--help"])
def test_full_disk_behind_what_is_asked_before_the_verb_is_one_line_and_74(idle_machine, start, word):
    told = start(idle_machine, "-c", FULL, word).finish()

    assert (74, ["stdout cannot be written: No space left on device"]) == (told.code, told.complaints)


#: A terminal or a file of another encoding than UTF-8.
LATIN = """
import os, sys
os.environ["PYTHONIOENCODING"] = "latin-1"
os.execv(sys.executable, [sys.executable, "-m", "producer", *sys.argv[1:]])
"""


def test_json_stays_json_where_stdout_does_not_have_its_characters(idle_machine, start):
    running = start(idle_machine, "-c", LATIN, "explain", "customers.lookup", '{"順\U0001f600": NaN}')

    assert 1 == running.process.wait()
    assert "順\U0001f600" == json.loads(running.out.read_text("latin-1"))["error"]["field"]


def test_verb_whose_stdout_is_closed_ends_with_141_and_without_a_word(idle_machine, start, rows_file):
    file = rows_file(*({"order_id": f"PIPED-{n}", "cliente_id": n} for n in range(5001, 8001)))

    told = start(idle_machine, "-c", HEAD, "explain", "orders.enrich", str(file)).finish()

    assert (141, "", 1) == (told.code, told.err, told.report["row"])
