import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft7Validator

import celeryconfig
from settings.environment import Settings, is_stand_in
from tests.servers import compose

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
import worker.app, worker.metrics.command, producer.run.start, askonce.cli.explained, producer.__main__
import celery.bin.beat, flower.command, openai, sandbox.outside.stand_in, worker.health, worker.signs
worker.app.app.finalize()
worker.app.app.connection_for_write("redis://127.0.0.1").transport_cls
"""
CONFIGURATION = (ROOT / "docs/configuration.md").read_text()
IMAGE = (ROOT / "Dockerfile").read_text()
FIELDS = {(field.alias or name).upper() for name, field in Settings.model_fields.items()}


#: What compose itself decides in each container; a password is never in a variable.
OF_COMPOSE = {"REDIS_USERNAME", "REDIS_PASSWORD", "REDIS_PASSWORD_FILE", "HEALTH_FOLDER"}
#: Read by Celery and by Flower's configuration.
OF_OTHERS = {"REMAP_SIGTERM", "FLOWER_LOGIN_FILE", "FLOWER_DB"}
#: What only the containers get that call the paid service.
SECRET = {"OPENAI_API_KEY", "OPENAI_API_KEY_FILE"}
#: What `.env` has for real services.
REAL = {
    "ASKONCE_NAMESPACE": "jobs",
    "OPENAI_BASE_URL": "https://api.openai.com/v1",
    "CUSTOMER_API_URL": "http://customers.internal",
}
#: What `.env` does not change: the run of the demo is never one of real services.
DEMO = {
    "ASKONCE_NAMESPACE": "demo",
    "OPENAI_BASE_URL": "http://stand-ins:8080/v1",
    "CUSTOMER_API_URL": "http://stand-ins:8080",
}
SERVICES = compose.read({})["services"]
#: Those that run this project's image with the variables of the project.
OURS = sorted(name for name, each in SERVICES.items() if "OPENAI_MODEL" in each.get("environment", {}))
WORKERS = ["worker", "worker-bulk"]
USERS = {
    "worker": "worker",
    "worker-bulk": "worker",
    "beat": "producer",
    "producer": "producer",
    "oncall": "oncall",
    "demo": "producer",
    "flower": "flower",
    "metrics": "metrics",
}


def environment_of(service, **env_file):
    """Return what compose puts into the containers of *service*, with these variables in `.env`."""
    declared = compose.read(env_file)["services"][service]["environment"]
    passed = {name: env_file[name] for name, value in declared.items() if value is None and name in env_file}
    return passed | {name: value for name, value in declared.items() if value}


def test_compose_file_follows_the_specification():
    schema = json.loads((ROOT / "tests/unit/compose-spec.json").read_text())
    valid = Draft7Validator(schema).is_valid

    assert valid(yaml.safe_load(COMPOSE))
    assert valid(compose.read({}))
    assert not valid(yaml.safe_load(COMPOSE.replace("read_only:", "readonly:")))
    assert not valid(yaml.safe_load(COMPOSE.replace("stop_grace_period: 60s", "stop_grace_period: 60")))


@pytest.mark.parametrize("service", OURS)
def test_every_variable_reaches_a_container_but_the_key_only_workers(service):
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", CONFIGURATION, re.MULTILINE))
    given = {name: f"value of {name}" for name in documented}

    reached = environment_of(service, **given)

    expected = {name: value for name, value in given.items() if name not in OF_COMPOSE}
    if service == "demo":
        expected |= DEMO
    if service in WORKERS:
        expected["OPENAI_API_KEY_FILE"] = "/run/secrets/openai_api_key"
    else:
        expected = {name: value for name, value in expected.items() if name not in SECRET}
    assert expected == {name: value for name, value in reached.items() if name in expected.keys() | SECRET}
    assert reached.keys() - expected.keys() <= OF_COMPOSE | OF_OTHERS
    assert "REDIS_PASSWORD" not in reached
    assert ("openai_api_key" in SERVICES[service]["secrets"]) == (service in WORKERS)


@pytest.mark.parametrize("service", OURS)
def test_each_container_has_one_user_of_the_server_and_its_password_only(service):
    declared, secrets = SERVICES[service]["environment"], SERVICES[service]["secrets"]

    assert USERS[service] == declared["REDIS_USERNAME"]
    assert f"/run/secrets/{USERS[service]}_password" == declared["REDIS_PASSWORD_FILE"]
    others = {name for name in secrets if name.endswith("_password")}
    assert {f"{USERS[service]}_password"} == others
    assert (ROOT / f"deploy/acl/{USERS[service]}.acl").exists()


@pytest.mark.parametrize("service", OURS)
def test_container_uses_the_server_beside_it_with_its_own_user(service, monkeypatch, tmp_path):
    (tmp_path / "password").write_text("p")
    for name in FIELDS:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment_of(service, **REAL).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("REDIS_PASSWORD_FILE", str(tmp_path / "password"))

    settings = Settings(_env_file=None)

    assert f"redis://{USERS[service]}:p@valkey:6379/0" == settings.store_url() == settings.broker_url()
    assert settings.openai_key() is None


@pytest.mark.parametrize("missing", REAL)
def test_container_refuses_real_services_beside_stand_ins(missing, monkeypatch):
    for name in FIELDS:
        monkeypatch.delenv(name, raising=False)
    given = environment_of("worker", **{name: value for name, value in REAL.items() if name != missing})
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("REDIS_PASSWORD_FILE")

    with pytest.raises(ValueError, match=f"{missing}: the namespace demo is for the stand-ins"):
        Settings(_env_file=None)


def test_run_of_the_demo_stays_the_demos_beside_real_services(monkeypatch):
    for name in FIELDS:
        monkeypatch.delenv(name, raising=False)
    given = environment_of("demo", **REAL, OPENAI_API_KEY="real", OPENAI_API_KEY_FILE="files/key")
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("REDIS_PASSWORD_FILE")

    settings = Settings(_env_file=None)

    # The users of a server for another namespace may write none of its keys: deploy/valkey/start.sh.
    assert DEMO["ASKONCE_NAMESPACE"] == settings.namespace
    assert is_stand_in(settings.openai_base_url)
    assert is_stand_in(settings.customer_api_url)
    assert settings.openai_key() is None


def test_environment_example_fits_compose_too():
    text = (ROOT / ".env.example").read_text()
    named = set(re.findall(r"^(?:# )?([A-Z_]+)=", text, re.MULTILINE))
    asked = set(re.findall(r"\$\{([A-Z_]+)", COMPOSE))

    assert named <= FIELDS | asked
    # What has a default of the demo in compose.
    assert {"ASKONCE_NAMESPACE", "SECRETS", "OPENAI_BASE_URL", "CUSTOMER_API_URL"} <= named
    # In a container these would name the container itself.
    assert not re.search("^(REDIS|CUSTOMER|CELERY)_", text, re.MULTILINE)


@pytest.mark.parametrize("service", SERVICES)
def test_container_has_no_rights_and_writes_nothing_but_its_volume(service):
    each = SERVICES[service]
    user, group = each["user"].split(":")

    assert (True, True, ["ALL"]) == (each["read_only"], each["init"], each["cap_drop"])
    assert ["no-new-privileges:true"] == each["security_opt"]
    assert "0" not in (user, group)
    assert all(each[limit] for limit in ("mem_limit", "cpus", "pids_limit"))
    assert not each.keys() & {"privileged", "cap_add", "devices", "network_mode", "pid"}
    writable = [volume for volume in each.get("volumes", ()) if not volume.endswith(":ro")]
    assert VOLUMES.get(service, []) == writable


VOLUMES = {
    "valkey": ["records:/data"],
    "beat": ["beat:/var/lib/beat"],
    "flower": ["flower:/var/lib/flower"],
    "prometheus": ["prometheus:/prometheus"],
    "grafana": ["grafana:/var/lib/grafana"],
}


def test_state_of_beat_and_flower_is_in_folders_of_the_images_user():
    assert "/var/lib/flower/state" == SERVICES["flower"]["environment"]["FLOWER_DB"]
    assert "--schedule /var/lib/beat/" in SERVICES["beat"]["command"]
    assert "install -d -o 10001 -g 10001 /var/lib/beat /var/lib/flower" in IMAGE
    assert "USER 10001:10001" in IMAGE
    assert {"10001:10001"} == {SERVICES[name]["user"] for name in OURS}


def test_compose_services_have_one_image_and_one_tag():
    images = {each["image"] for each in SERVICES.values()}

    ours = {image for image in images if image.startswith("askonce:")}
    assert {"askonce:0.1.0"} == ours
    assert {"askonce:next"} == {
        compose.read({"ASKONCE_TAG": "next"})["services"][name]["image"] for name in OURS
    }
    assert not [image for image in images if ":" not in image or image.endswith("latest")]


#: Ends by itself, or runs another image.
OTHERS = {"valkey", "producer", "oncall", "stand-ins", "demo", "prometheus", "grafana"}


def test_compose_service_stays_when_its_configuration_is_refused():
    services = [each for name, each in SERVICES.items() if name not in OTHERS]

    assert {"unless-stopped"} == {each["restart"] for each in services}
    assert all(each["command"].startswith("python -m worker.unless_misconfigured ") for each in services)
    # A command that ends by itself must not wait for a signal.
    commands = [SERVICES[name] for name in ("producer", "oncall")]
    assert [["python", "-m", "producer"]] * 2 == [each["entrypoint"] for each in commands]
    assert not [each for each in (*commands, SERVICES["demo"]) if "restart" in each]


def test_every_service_that_stays_has_a_health_check():
    unchecked = {name for name, each in SERVICES.items() if "healthcheck" not in each}

    assert {"producer", "oncall", "demo"} == unchecked


def test_profiles_add_to_what_starts_without_any():
    profiles = {name: each.get("profiles") for name, each in SERVICES.items()}

    plain = {name for name, given in profiles.items() if given is None}
    assert {"valkey", "worker", "worker-bulk", "beat", "flower", "metrics"} == plain
    assert {"producer", "oncall"} == {name for name, given in profiles.items() if given == ["producer"]}
    assert {"stand-ins", "demo"} == {name for name, given in profiles.items() if given == ["demo"]}
    assert {"prometheus", "grafana"} == {name for name, given in profiles.items() if given == ["monitoring"]}
    # A profile that is off must not keep a worker from its start.
    assert all(SERVICES[name]["depends_on"]["stand-ins"]["required"] is False for name in WORKERS)


SCHEDULED = """
from worker.app import app
print(len(app.askonce.schedule), app.askonce.check_schedule())
print(sorted({entry["task"] for entry in app.conf.beat_schedule.values()} - set(app.tasks)))
"""


def test_every_scheduled_task_is_one_of_the_workers():
    environment = {"ENV_FILE": "", "PATH": "", "ORDERS_FILE": "orders.jsonl"}

    unknown = subprocess.check_output([sys.executable, "-c", SCHEDULED], cwd=ROOT, env=environment, text=True)

    assert "1 []\n[]\n" == unknown


def test_compose_publishes_ports_to_this_machine_only():
    ports = {name: each["ports"] for name, each in SERVICES.items() if "ports" in each}

    assert {
        "flower": ["127.0.0.1:5555:5555"],
        "prometheus": ["127.0.0.1:9090:9090"],
        "grafana": ["127.0.0.1:3000:3000"],
    } == ports
    assert ["127.0.0.1:7:5555"] == compose.read({"FLOWER_PORT": "7"})["services"]["flower"]["ports"]


def test_compose_server_never_evicts_keys_and_keeps_them():
    start = (ROOT / "deploy/valkey/start.sh").read_text()

    assert "--appendonly yes" in start
    assert "--maxmemory-policy noeviction" in start


@pytest.mark.parametrize(
    "given",
    [{}, {"LLM_TIMEOUT": "2.5"}, {"LLM_TIMEOUT": "600"}, {"CUSTOMER_API_TIMEOUT": "600"}],
    ids=str,
)
def test_compose_gives_a_worker_the_time_to_stop_softly(given):
    settings = Settings(_env_file=None, **{name.lower(): value for name, value in given.items()})

    for name in WORKERS:
        grace = compose.seconds_of(compose.read(given)["services"][name]["stop_grace_period"])
        # worker_soft_shutdown_timeout, and what a worker still does after it.
        assert grace > settings.longest_call() + 5 + 20
    assert celeryconfig.worker_soft_shutdown_timeout == celeryconfig._settings.longest_call() + 5


@pytest.mark.parametrize("folder", ["made", "demo"])
def test_every_secret_of_compose_is_a_file_that_is_there(folder, tmp_path):
    made = tmp_path / "secrets"
    if folder == "made":
        subprocess.run(["sh", ROOT / "deploy/new-passwords.sh", made], check=True, capture_output=True)
    given = {"SECRETS": str(made)} if folder == "made" else {}

    files = {name: ROOT / secret["file"] for name, secret in compose.read(given)["secrets"].items()}

    assert Path("/dev/null") == files.pop("openai_api_key")
    assert all(file.read_text().strip() for file in files.values())


def test_new_passwords_are_of_their_own_and_replace_none(tmp_path):
    made = tmp_path / "secrets"
    command = ["sh", str(ROOT / "deploy/new-passwords.sh"), str(made)]
    first = subprocess.check_output(command, text=True)
    (made / "worker").write_text("mine")
    (made / "flower").write_text("")

    again = subprocess.check_output(command, text=True)

    # An empty file is no password.
    assert (8, f"{made}/flower\n") == (first.count("\n"), again)
    assert "mine" == (made / "worker").read_text()
    assert 0o700 == made.stat().st_mode & 0o777
    passwords = [path.read_text().strip() for path in made.iterdir() if path.name != "worker"]
    assert len(set(passwords)) == len(passwords)
    assert all(len(password) >= 40 and not password.startswith("demo-") for password in passwords)


def test_image_holds_every_package_that_its_commands_import():
    copied = set(re.findall(r"^COPY (\w+)\S* ", IMAGE, re.MULTILINE))

    assert {
        "askonce",
        "settings",
        "tasks",
        "producer",
        "worker",
        "sandbox",
        "deploy",
        "celeryconfig",
        "requirements",
    } == copied
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
