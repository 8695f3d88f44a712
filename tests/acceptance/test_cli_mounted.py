"""The verbs in Celery's own command line: in the README's app, with the wheel and a real server."""

import os
import re
import subprocess
import sys
from types import SimpleNamespace
from zipfile import ZipFile

import pytest
from celery import Celery

from sandbox.machine import ROOT, stop, wait_for
from sandbox.valkey import Valkey
from tests.acceptance.conftest import Told
from tests.deadlines import stretched

pytestmark = [pytest.mark.acceptance, pytest.mark.long]

[SHOP] = re.findall(
    r'^```python\n([^`]*Celery\("shop".*?)^```$', (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A folder with what the wheel installs."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=stretched(60))
    [built] = folder.glob("*.whl")
    with ZipFile(built) as archive:
        archive.extractall(folder / "installed")
    return folder / "installed"


@pytest.fixture(scope="module")
def shop(wheel, tmp_path_factory):
    """The README's app with a worker; `run` starts this Python beside it."""
    folder = tmp_path_factory.mktemp("shop")
    env = {**os.environ, "PYTHONPATH": str(wheel), "PYTHONDONTWRITEBYTECODE": "1"}
    log = folder / "worker.log"

    def run(*arguments, **more):
        command, patience = [sys.executable, *map(str, arguments)], stretched(60)
        options = {"cwd": folder, "env": env | more, "timeout": patience}
        done = subprocess.run(command, check=False, capture_output=True, text=True, **options)
        assert "Traceback" not in done.stderr, done.stderr
        return Told(code=done.returncode, out=done.stdout, err=done.stderr)

    with Valkey(tcp=True) as server:
        (folder / "shop.py").write_text(SHOP.replace("redis://127.0.0.1:6379/0", server.url))
        worker = [sys.executable, "-m", "celery", "-A", "shop", "worker", "-P", "solo", "-l", "INFO"]
        with log.open("wb") as out:
            process = subprocess.Popen(worker, cwd=folder, env=env, stdout=out, stderr=out)
        try:
            wait_for(lambda: b"ready." in log.read_bytes(), process, log)
            yield SimpleNamespace(run=run, folder=folder, url=server.url)
        finally:
            stop(process)


@pytest.fixture
def askonce(shop):
    """Run `celery -A shop askonce`."""
    return lambda *arguments: shop.run("-m", "celery", "-A", "shop", "askonce", *arguments)


def test_what_runs_is_the_wheel(shop, wheel, askonce):
    [metadata] = wheel.glob("askonce-*.dist-info")

    assert str(wheel) in shop.run("-c", "import askonce; print(askonce.__file__)").out
    assert f"{metadata.stem.replace('-', ', version ')}\n" == askonce("--version").out


def test_answer_of_the_apps_own_task_is_explained_counted_and_printed(shop, askonce):
    assert [0, 0] == [shop.run("shop.py").code for _ in range(2)]

    explained = askonce("explain", "rates.fetch", '{"currency": "BRL"}').report
    answer = askonce("result", explained["key"]).report
    line, total = askonce("cost", "--json", "--since", "1d").reports

    assert ("done", False) == (explained["state"], explained["would_call"])
    assert 5.42 == answer["value"]
    # Other tests may have called it too.
    assert 1 <= line["calls"] == line["unpriced"]
    assert ("rates.fetch", None) == (line["task"], line["cost_usd"])
    assert line["hits"] >= 1
    assert (True, line["calls"]) == (total["total"], total["calls"])
    assert "unknown" in askonce("cost").out


def test_answers_are_asked_for_ahead_shown_and_made_old(shop, askonce, eventually):
    rows = shop.folder / "ahead.jsonl"
    rows.write_text('{"currency": "SEK"}\n{"currency": "NOK"}\n')
    key = askonce("explain", "rates.fetch", '{"currency": "SEK"}').report["key"]
    asked = askonce("cache", "warm", "rates.fetch", rows, "--json").report
    shown = eventually(
        lambda: (got := askonce("cache", "get", key, "--value", "--json")).code == 0 and got, 60
    )
    listed = askonce("cache", "list", "--task", "rates.fetch", "--fresh", "--json").reports
    expired = askonce("cache", "invalidate", "--task", "rates.fetch", "--expire", "--note", "a new source")
    stale = askonce("cache", "get", "rates.fetch", '{"currency": "SEK"}', "--json").report
    refused = askonce("cache", "invalidate", key, "--task", "rates.fetch"), askonce("cache", "clear")
    cleared = askonce("cache", "clear", "--yes")

    assert {"fresh_already": 0, "asked": 2, "under_way": 0, "failing": 0, "refused": 0} == asked
    assert (5.42, "fresh") == (shown.report["value"], shown.report["state"])
    assert key in {each["key"] for each in listed}
    assert (0, "stale") == (expired.code, stale["state"])
    assert [2, 2] == [each.code for each in refused]
    assert "--yes says that it is meant" in refused[1].err
    assert (0, 1) == (cleared.code, askonce("cache", "get", key).code)
    written = [(each["act"], each["what"]) for each in askonce("audit", "--json").reports[-2:]]
    assert [("invalidate", "--task rates.fetch --expire"), ("invalidate", "--all")] == written
    assert askonce("cache", "stats", "--json").reports[-2]["total"]


def test_message_of_a_stranger_is_listed_sent_again_and_discarded(shop, askonce, eventually):
    with Celery(broker=shop.url, set_as_current=False) as stranger:
        stranger.send_task("no.such.task")
    eventually(lambda: askonce("dead", "list", "--json").out, 60)

    [letter] = askonce("dead", "list", "--json").reports
    sent = askonce("dead", "replay", letter["id"])
    eventually(lambda: "unknown_task" in askonce("dead", "list").out, 60)

    assert ("unknown_task", "no.such.task") == (letter["reason"], letter["task"])
    assert (0, f"{letter['id']} sent\n") == (sent.code, sent.out)
    assert 0 == askonce("dead", "discard", "--all").code
    assert "0 dead letters\n" == askonce("dead", "list").err


def test_paused_task_waits_says_why_and_goes_on(shop, askonce, eventually):
    ask = "import shop; print(shop.fetch.enqueue({'currency': 'CHF'}).key)"
    paused = askonce("pause", "--task", "rates.fetch", "--note", "the invoice")
    key = shop.run("-c", ask).out.strip()

    explained = askonce("explain", "rates.fetch", '{"currency": "CHF"}').report
    doctor = askonce("doctor")
    resumed = askonce("resume", "--task", "rates.fetch")
    eventually(lambda: askonce("result", key).code == 0, 60)

    assert (0, 0) == (paused.code, resumed.code)
    assert explained["waits"].startswith("paused: ")
    assert explained["waits"].endswith(": the invoice")
    assert (0, 1) == (doctor.code, doctor.out.count("warning: pauses: task rates.fetch is paused: "))


def test_jobs_of_a_run_are_cancelled_by_its_name(shop, askonce):
    ask = "import shop; [shop.fetch.enqueue({'currency': c}, run='monday') for c in ('USD', 'GBP')]"
    askonce("pause", "--task", "rates.fetch")
    shop.run("-c", ask)

    told = askonce("cancel", "monday")
    askonce("resume", "--task", "rates.fetch")

    assert (0, "monday: 2 cancelled\n") == (told.code, told.out)
    explained = askonce("explain", "rates.fetch", '{"currency": "USD"}').report
    assert (None, None, True) == tuple(
        explained[name] for name in ("answer_age_seconds", "waits", "would_call")
    )


def test_shell_completes_verbs_and_their_options(shop):
    code = "import sys; sys.argv = ['celery']; from celery.__main__ import main; main()"
    words = {"COMP_WORDS": "celery -A shop askonce cost --by ", "COMP_CWORD": "6"}
    told = shop.run("-c", code, **words, _CELERY_COMPLETE="bash_complete")

    assert ["plain,task", "plain,model", "plain,tenant", "plain,day"] == told.out.splitlines()
