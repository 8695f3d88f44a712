"""deploy/flower/flowerconfig.py, as Flower reads it beside its command line and environment."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFIG = Path(__file__).parents[2] / "deploy" / "flower" / "flowerconfig.py"
#: What Flower's command does with its options, without an app.
READING = """
import json, sys
from flower.command import apply_env_options, apply_options
from tornado.options import options
apply_env_options()
apply_options("flower", sys.argv[1:])
names = ("address", "basic_auth", "read_only", "persistent", "max_tasks", "purge_offline_workers")
print(json.dumps({name: getattr(options, name) for name in names}))
"""
#: What Flower keeps of a message that another program sent, before and after a worker received it.
SEEING = """
import json, sys
from flower.command import apply_options
from flower.events import EventsState
apply_options("flower", sys.argv[1:])
state, shown = EventsState(max_tasks_in_memory=10), "{'order_id': 'PED-1'}"
about = {"uuid": "one", "hostname": "here", "utcoffset": 0, "pid": 1, "name": "orders.enrich"}
sent, seen = ("sent", "segredo-4711"), []
for clock, (kind, kwargs) in enumerate([sent, ("received", shown), sent]):
    times = {"timestamp": clock, "local_received": clock, "clock": clock}
    state.event({**about, **times, "type": f"task-{kind}", "args": "()", "kwargs": kwargs})
    seen.append(state.tasks["one"].kwargs)
print(json.dumps(seen))
"""
PASSWORD = "segredo-4711"


@pytest.fixture
def login(tmp_path):
    """Write a file of logins and return its path."""

    def write(text):
        path = tmp_path / "login"
        path.write_text(text)
        return str(path)

    return write


@pytest.fixture
def read(tmp_path):
    """Read the configuration in a process of its own."""

    def read(*options, program=READING, **env):
        environ = {name: value for name, value in os.environ.items() if not name.startswith("FLOWER_")}
        command = [sys.executable, "-c", program, f"--conf={CONFIG}", *options]
        run = {"cwd": tmp_path, "capture_output": True, "text": True, "timeout": 60}
        return subprocess.run(command, check=False, env={**environ, **env}, **run)

    return read


def settings(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_flower_is_read_only_and_on_this_machine_alone(read):
    found = settings(read())

    assert (found["address"], found["read_only"], found["basic_auth"]) == ("127.0.0.1", True, [])
    assert (found["persistent"], found["max_tasks"], found["purge_offline_workers"]) == (False, 10_000, 600)


@pytest.mark.parametrize(
    ("options", "env"),
    [
        (("--address=0.0.0.0",), {}),
        (("--address=",), {}),
        (("--address=::",), {}),
        (("--address=flower.internal",), {}),
        ((), {"FLOWER_ADDRESS": "0.0.0.0"}),
        (("--address=0.0.0.0",), {"FLOWER_UNAUTHENTICATED_API": "true"}),
    ],
)
@pytest.mark.long
def test_flower_refuses_to_be_open_on_anything_but_loopback(read, options, env):
    done = read(*options, **env)

    assert done.returncode == 78
    assert done.stderr.startswith("flower: refuses to listen on ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.long
def test_what_another_program_says_of_its_arguments_is_not_kept(read):
    assert settings(read(program=SEEING)) == [None, "{'order_id': 'PED-1'}", "{'order_id': 'PED-1'}"]


@pytest.mark.long
def test_login_comes_from_a_secret_file(read, login):
    found = settings(read("--address=0.0.0.0", FLOWER_LOGIN_FILE=login(f"ana:{PASSWORD}\n\nrui:a b:c\n")))

    assert found["basic_auth"] == [f"ana:{PASSWORD}", "rui:a b:c"]


@pytest.mark.parametrize(
    "text", ["", "\n", PASSWORD, f":{PASSWORD}", "ana:", f"ana:{PASSWORD}\u00e9"], ids=ascii
)
@pytest.mark.long
def test_login_that_lets_nobody_in_is_refused_without_showing_it(read, login, text):
    done = read(FLOWER_LOGIN_FILE=login(text))

    assert done.returncode == 78
    assert len(done.stderr.splitlines()) == 1
    assert PASSWORD not in done.stderr


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"FLOWER_LOGIN_FILE": "nowhere"}, "FLOWER_LOGIN_FILE: cannot read 'nowhere' (FileNotFoundError)"),
        ({"FLOWER_LOGIN_FILE": "x", "FLOWER_BASIC_AUTH": "a:b"}, "FLOWER_LOGIN_FILE and FLOWER_BASIC_AUTH"),
        ({"FLOWER_DB": "nowhere/state"}, "FLOWER_DB: cannot write into the folder"),
    ],
)
@pytest.mark.long
def test_secret_or_folder_that_cannot_be_used_is_named(read, env, said):
    done = read(**env)

    assert done.returncode == 78
    assert done.stderr.startswith(f"flower: {said}")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.long
def test_environment_and_command_line_win_over_the_file(read, tmp_path):
    env = {
        "FLOWER_MAX_TASKS": "7",
        "FLOWER_BASIC_AUTH": f"ana:{PASSWORD}",
        "FLOWER_DB": str(tmp_path / "state"),
    }

    found = settings(read("--address=0.0.0.0", "--purge_offline_workers=60", **env))

    assert found == {
        "address": "0.0.0.0",
        "basic_auth": [f"ana:{PASSWORD}"],
        "read_only": True,
        "persistent": True,
        "max_tasks": 7,
        "purge_offline_workers": 60,
    }
