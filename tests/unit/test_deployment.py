import re
from pathlib import Path

import celeryconfig
from tasks.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "docker-compose.yml").read_text()
IMAGE = (ROOT / "Dockerfile").read_text()
FIELDS = {(field.alias or name).upper() for name, field in Settings.model_fields.items()}


def test_compose_sets_only_variables_that_exist():
    named = set(re.findall(r"^ +([A-Z_]+):", COMPOSE, re.MULTILINE))

    assert {"REDIS_URL", "OPENAI_API_KEY", "REMAP_SIGTERM"} <= named
    assert named - {"REMAP_SIGTERM"} <= FIELDS


def test_compose_publishes_ports_to_this_machine_only():
    ports = re.findall(r"^ +- (\S+:\d+)$", COMPOSE, re.MULTILINE)

    assert ["127.0.0.1:6379:6379", "127.0.0.1:5555:5555"] == ports


def test_compose_keeps_the_server_from_dropping_what_it_holds():
    assert "--appendonly yes" in COMPOSE
    assert "--maxmemory-policy noeviction" in COMPOSE


def test_compose_gives_a_worker_the_time_to_stop_softly():
    grace = int(re.search(r"stop_grace_period: (\d+)s", COMPOSE)[1])

    assert grace > celeryconfig.worker_soft_shutdown_timeout


def test_image_holds_every_package_that_a_worker_and_a_producer_import():
    copied = set(re.findall(r"^COPY (\w+)\S* ", IMAGE, re.MULTILINE))

    assert {"askonce", "tasks", "producer", "worker", "celeryconfig", "requirements"} == copied
    allowed = (ROOT / ".dockerignore").read_text()
    assert all(f"!{name}" in allowed for name in copied)
