"""The commands mean the jobs of a task's own callers: defaults are filled in, other fields are refused."""

import json

import pytest
from celery.bin.base import CLIContext
from click.testing import CliRunner

from askonce.cli.plugin import askonce
from askonce.outcomes import Admitted, Hit

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def idle(new_shop):
    """A shop without a worker: its jobs stay in their queue."""
    return new_shop("rows-of-commands")


@pytest.fixture
def run(tmp_path):
    """Run a command of a shop; each row stands in a file."""

    def run(shop, *words):
        file = tmp_path / "rows.jsonl"
        rows = [word for word in words if isinstance(word, dict)]
        file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        arguments = [str(file) if isinstance(word, dict) else word for word in words]
        context = CLIContext(shop.app, no_color=True, workdir=None)
        return CliRunner().invoke(askonce, arguments, obj=context, catch_exceptions=False)

    return run


def test_each_command_means_the_job_of_the_tasks_own_callers(idle, run, number):
    row, key = {"n": number}, idle.add.enqueue({"n": number}).key

    explained = json.loads(run(idle, "explain", "add", json.dumps(row)).stdout)
    kept = run(idle, "cache", "get", "add", json.dumps(row))
    warmed = json.loads(run(idle, "cache", "warm", "add", row, "--json").stdout)
    ended = json.loads(run(idle, "cancel", "--task", "add", row, "--json").stdout)

    assert (key, "queued", {"n": number, "more": 1}) == tuple(
        explained[name] for name in ("key", "state", "identity")
    )
    assert f"{key}: no answer, the job is queued\n" == kept.stderr
    assert (0, 1) == (warmed["asked"], warmed["under_way"])
    assert (1, 0) == (ended["cancelled"], ended["absent"])
    gone = run(idle, "cache", "get", "add", json.dumps(row))
    assert f"{key}: no answer, the job is ended: cancelled" in gone.stderr
    assert "ended" == json.loads(run(idle, "jobs", "show", key, "--json").stdout)["state"]


def test_what_was_asked_for_ahead_is_paid_once(plain, run, number):
    warmed = json.loads(run(plain, "cache", "warm", "add", {"n": number}, "--json").stdout)
    outcome = plain.add.enqueue({"n": number})
    assert number + 1 == outcome.result(timeout=20).value

    got = json.loads(run(plain, "cache", "get", "add", f'{{"n": {number}}}', "--value", "--json").stdout)
    explained = json.loads(run(plain, "explain", "add", f'{{"n": {number}}}').stdout)

    assert 1 == warmed["asked"]
    assert not isinstance(outcome, Admitted)
    assert isinstance(plain.add.enqueue({"n": number}), Hit)
    assert [("add", number, 1)] == plain.calls.of(number)
    assert (outcome.key, number + 1) == (got["key"], got["value"])
    assert (outcome.key, False) == (explained["key"], explained["would_call"])


@pytest.mark.parametrize(
    ("words", "exit_code", "reason"),
    [
        (["explain", "add"], 1, '"row": 1'),
        (["cache", "warm", "add"], 1, "row 1: "),
        (["cancel", "--task", "add"], 1, "1 invalid: no job"),
    ],
)
@pytest.mark.parametrize("row", [{"n": 1, "town": "Lisbon"}, {"more": 2}])
def test_row_that_the_task_does_not_take_is_refused_by_its_number(idle, run, words, exit_code, reason, row):
    told = run(idle, *words, row)

    assert exit_code == told.exit_code
    assert reason in told.output
    assert words[0] == "cancel" or f"'{'town' if 'town' in row else 'n'}'" in told.output


def test_payload_that_the_task_does_not_take_names_no_answer(idle, run):
    told = run(idle, "cache", "get", "add", '{"n": 1, "town": "Lisbon"}')

    assert 2 == told.exit_code
    assert "'town'" in told.stderr
    assert "Lisbon" not in told.output
