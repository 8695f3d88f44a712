import re
import subprocess
import sys
from pathlib import Path

import celeryconfig
from settings.environment import Settings

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "docker-compose.yml").read_text()
LOCKED = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements/run.txt").read_text(), re.MULTILINE))
#: Loads what the image's three commands load, as if nothing but what is locked for it were installed.
LOADING = """
import re, sys, importlib.metadata as metadata
locked, distributions = set(sys.argv[1:]), metadata.packages_distributions()

class Absent:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        owners = {re.sub(r"[-_.]+", "-", owner).lower() for owner in distributions.get(top, ())}
        if owners and not owners & locked:
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Absent())
import worker.app, producer.batch, producer.explain, producer.__main__, flower.command, openai
worker.app.app.finalize()
worker.app.app.connection_for_write("redis://127.0.0.1").transport_cls
"""
IMAGE = (ROOT / "Dockerfile").read_text()
FIELDS = {(field.alias or name).upper() for name, field in Settings.model_fields.items()}


def test_compose_sets_only_variables_that_exist():
    named = set(re.findall(r"^ +([A-Z_]+):", COMPOSE, re.MULTILINE))

    assert {"REDIS_URL", "OPENAI_API_KEY", "REMAP_SIGTERM"} <= named
    assert named - {"REMAP_SIGTERM"} <= FIELDS


def test_compose_publishes_ports_to_this_machine_only():
    ports = re.findall(r"^ +- (\S+:\d+)$", COMPOSE, re.MULTILINE)

    assert ["127.0.0.1:6379:6379", "127.0.0.1:5555:5555"] == ports


def test_compose_server_never_evicts_keys():
    assert "--appendonly yes" in COMPOSE
    assert "--maxmemory-policy noeviction" in COMPOSE


def test_compose_gives_a_worker_the_time_to_stop_softly():
    grace = int(re.search(r"stop_grace_period: (\d+)s", COMPOSE)[1])

    assert grace > celeryconfig.worker_soft_shutdown_timeout


def test_image_holds_every_package_that_its_commands_import():
    copied = set(re.findall(r"^COPY (\w+)\S* ", IMAGE, re.MULTILINE))

    assert {"askonce", "settings", "tasks", "producer", "worker", "celeryconfig", "requirements"} == copied
    allowed = (ROOT / ".dockerignore").read_text()
    assert all(f"!{name}" in allowed for name in copied)


def test_image_loads_only_locked_packages():
    done = subprocess.run(
        [sys.executable, "-c", LOADING, *LOCKED],
        cwd=ROOT,
        env={"ENV_FILE": "", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert {"celery", "redis", "flower", "openai"} <= LOCKED
    assert 0 == done.returncode, done.stderr
