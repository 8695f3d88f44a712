import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import celeryconfig
from settings.environment import Settings

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "docker-compose.yml").read_text()
LOCKED = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements/run.txt").read_text(), re.MULTILINE))
#: Loads what the image's four commands load, as if nothing but what is locked for it were installed.
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
import worker.app, producer.run.start, askonce.cli.explained, producer.__main__
import celery.bin.beat, flower.command, openai
worker.app.app.finalize()
worker.app.app.connection_for_write("redis://127.0.0.1").transport_cls
"""
CONFIGURATION = (ROOT / "docs/configuration.md").read_text()
IMAGE = (ROOT / "Dockerfile").read_text()
FIELDS = {(field.alias or name).upper() for name, field in Settings.model_fields.items()}


#: What only the containers get that call the paid service.
SECRET = {"OPENAI_API_KEY", "OPENAI_API_KEY_FILE"}
SERVICES = yaml.safe_load(COMPOSE)["services"]
OURS = sorted(SERVICES.keys() - {"valkey"})


def environment_of(service, **env_file):
    """Return what compose puts into the containers of *service*, with these variables in `.env`."""

    def value_of(text):
        name, sign, word = re.fullmatch(r"\$\{([A-Z_]+):([-+])(.*)\}", text).groups()
        given = env_file.get(name)
        return word if bool(given) == (sign == "+") else given or ""

    declared = SERVICES[service]["environment"]
    passed = {name: env_file[name] for name, text in declared.items() if text is None and name in env_file}
    return passed | {name: value_of(text) for name, text in declared.items() if text and text[:1] == "$"}


@pytest.mark.parametrize("service", OURS)
def test_every_variable_reaches_a_container_but_the_key_only_workers(service):
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", CONFIGURATION, re.MULTILINE))
    given = {name: f"value of {name}" for name in documented}

    reached = environment_of(service, **given)

    expected = given if service == "worker" else {k: v for k, v in given.items() if k not in SECRET}
    if service == "worker":
        expected = expected | {"OPENAI_API_KEY_FILE": "/run/secrets/openai_api_key"}
    assert expected == reached
    assert ("secrets" in SERVICES[service]) == (service == "worker")


@pytest.mark.parametrize("service", OURS)
def test_container_uses_the_server_beside_it_without_any_variable(service, monkeypatch):
    for name in FIELDS:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment_of(service).items():
        monkeypatch.setenv(name, value)

    settings = Settings(_env_file=None)

    assert "redis://valkey:6379/0" == settings.store_url() == settings.broker_url()
    assert settings.openai_key() is None


def test_environment_example_fits_compose_too():
    text = (ROOT / ".env.example").read_text()

    assert set(re.findall(r"^(?:# )?([A-Z_]+)=", text, re.MULTILINE)) <= FIELDS
    # In a container these would name the container itself.
    assert not re.search("^(REDIS|CUSTOMER|CELERY)_", text, re.MULTILINE)


def test_compose_file_system_of_a_container_is_read_only_but_for_beats_schedule():
    writable = {
        name: [volume for volume in SERVICES[name]["volumes"] if not volume.endswith(":ro")] for name in OURS
    }

    assert all(SERVICES[name]["read_only"] for name in OURS)
    assert ["beat:/var/lib/beat"] == writable.pop("beat")
    assert not any(writable.values())
    assert "--schedule /var/lib/beat/" in SERVICES["beat"]["command"]
    assert "install -d -o 10001 /var/lib/beat" in IMAGE


def test_compose_service_stays_when_its_configuration_is_refused():
    services = [each for name, each in SERVICES.items() if name not in ("valkey", "producer")]

    assert {"unless-stopped"} == {each["restart"] for each in services}
    assert all(each["command"].startswith("python -m worker.unless_misconfigured ") for each in services)
    assert all("healthcheck" in each for each in services)
    # A command that ends by itself must not wait for a signal.
    assert ["python", "-m", "producer"] == SERVICES["producer"]["entrypoint"]
    assert "restart" not in SERVICES["producer"]


SCHEDULED = """
from worker.app import app
print(sorted({entry["task"] for entry in app.conf.beat_schedule.values()} - set(app.tasks)))
"""


def test_every_scheduled_task_is_one_of_the_workers():
    environment = {"ENV_FILE": "", "PATH": "", "ORDERS_FILE": "orders.jsonl"}

    unknown = subprocess.check_output([sys.executable, "-c", SCHEDULED], cwd=ROOT, env=environment, text=True)

    assert "[]\n" == unknown


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
