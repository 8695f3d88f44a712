"""``celery -A APP askonce`` on any app, in this process: what it shows, and what it refuses."""

import builtins
import json
import logging

import click
import pytest
from celery import Celery
from celery.bin.base import CLIContext, consume_preload_options
from click.testing import CliRunner

from askonce import JobSpec
from askonce.adapters.celery import AskOnce, IdempotentTask
from askonce.adapters.memory import MemoryStore
from askonce.adapters.redis import RedisStore
from askonce.announcements import Announcement
from askonce.checks import Finding
from askonce.cli.plugin import askonce
from askonce.cli.verbs import VERBS
from askonce.job import Job
from askonce.letters import DeadMessage
from askonce.store import Failing, Lease

pytestmark = pytest.mark.integration

BODY = b"[[],{},{}]"
AWAY = "redis://ana:hunter2@127.0.0.1:1/0"


@pytest.fixture
def new_app():
    """Make an app, with an AskOnce on a store in memory."""
    apps = []

    def make(broker="memory://", **options):
        app = Celery("shop", broker=broker, set_as_current=False)
        app.conf.broker_transport_options = {"polling_interval": 0.01}
        AskOnce(app, **{"store": MemoryStore, **options})
        app.task(name="rates.fetch", base=IdempotentTask, spec=JobSpec(), shared=False)(fetch)
        apps.append(app)
        return app

    yield make
    for app in apps:
        app.close()


def fetch(currency):
    return currency


@pytest.fixture
def run():
    """Run a verb as Celery's command line does; nothing may be raised."""

    def run(app, *arguments):
        context = CLIContext(app, no_color=True, workdir=None)
        return CliRunner().invoke(askonce, arguments, obj=context, catch_exceptions=False)

    return run


def test_every_verb_is_mounted():
    assert {"result", "explain", "dead", "pause", "resume", "cost", "doctor"} <= {each.name for each in VERBS}
    assert {each.name for each in VERBS} == set(askonce.commands)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["explain", "rates.fech", "{}"], "unknown task 'rates.fech'; there are: rates.fetch"),
        (["explain", "rates.fetch", "nowhere.jsonl"], "nowhere.jsonl: No such file or directory"),
        (["doctor", "--call"], "--call: "),
        (["result", "5"], "64 hexadecimal digits"),
        (["dead", "replay"], "name IDs"),
        (["dead", "discard", "--all", "a"], "not both"),
    ],
)
def test_what_cannot_be_is_refused_by_name(new_app, run, arguments, words):
    told = run(new_app(), *arguments)

    assert 2 == told.exit_code
    assert words in told.stderr


def test_jobs_queues_and_acts_of_any_app_are_shown(new_app, run):
    app = new_app()
    with app.connection() as connection:
        # The broker in memory is the process's: another test may have left messages.
        connection.default_channel.queue_purge("celery")
    key = app.tasks["rates.fetch"].enqueue({"currency": "BRL"}).key

    listed, shown = run(app, "jobs", "list", "--json"), run(app, "jobs", "show", key[:16])
    queues, peeked = run(app, "queue", "list", "--json"), run(app, "queue", "peek", "celery")
    purged = run(app, "queue", "purge", "celery", "--cancel", "--note", "by mistake")
    audit = run(app, "audit", "--json")

    assert [(key, "queued")] == [
        (each["key"], each["state"]) for each in map(json.loads, listed.stdout.splitlines())
    ]
    assert "no worker takes queue celery: jobs wait until one does; 1 message in queue celery" in shown.stdout
    assert ("celery", 1) == tuple(json.loads(queues.stdout)[name] for name in ("queue", "messages"))
    assert (1, True) == (peeked.exit_code, "jobs list shows the jobs" in peeked.stderr)
    assert "1 message deleted, 1 job cancelled\n" == purged.stdout
    assert ("purge", "by mistake") == tuple(json.loads(audit.stdout)[name] for name in ("act", "note"))


@pytest.mark.parametrize("verb", ["cost", "doctor"])
def test_app_without_askonce_is_told_in_one_line(run, verb):
    with Celery("plain", broker="memory://", set_as_current=False) as app:
        told = run(app, verb)

    assert 78 == told.exit_code
    assert (
        "Celery app plain has no AskOnce: create one beside the app; celery -A names the app\n" == told.stderr
    )


def test_store_that_is_away_is_one_line_without_its_password(new_app, run):
    store = RedisStore.from_url(AWAY, namespace="shop")

    told = run(new_app(store=lambda: store), "cost")

    assert 69 == told.exit_code
    [line] = told.stderr.splitlines()
    assert line.startswith("The store did not answer or refused: ")
    assert "hunter2" not in told.output
    store.close()


@pytest.mark.parametrize(("verb", "out"), [("cost", "stderr"), ("doctor", "stdout")])
def test_broker_that_cannot_be_used_is_one_line_without_its_password(new_app, run, verb, out):
    told = run(new_app("nonsense://ana:hunter2@127.0.0.1"), verb)

    assert 78 == told.exit_code
    [line] = getattr(told, out).splitlines()
    assert line.startswith("error: broker: cannot be used: nonsense://127.0.0.1 ")
    assert "hunter2" not in told.output


@pytest.mark.parametrize(("verb", "out"), [("cost", "stderr"), ("doctor", "stdout")])
def test_store_that_cannot_be_opened_is_one_line_without_its_password(new_app, run, verb, out):
    app = new_app(store=lambda: RedisStore.from_url("http://ana:hunter2@host:x", namespace="shop"))

    told = run(app, verb)

    assert 78 == told.exit_code
    [line] = getattr(told, out).splitlines()
    assert line.startswith("error: store: cannot be opened (ValueError); ")
    assert "hunter2" not in told.output


def test_doctor_shows_the_checks_of_the_app_its_workers_and_its_pauses(new_app, run):
    app = new_app(check=lambda once: [Finding(severity="ok", subject="shop", name="open", text="is open")])
    run(app, "pause", "--all", "--note", "the invoice")

    told = run(app, "doctor")

    lines = told.stdout.splitlines()
    assert (0, "ok: shop: is open") == (told.exit_code, lines[0])
    assert lines[1].startswith("warning: workers: no worker takes queue celery")
    assert "the invoice; " in lines[2]


def test_doctor_checks_an_app_that_lets_its_workers_check_nothing(new_app, run):
    told = run(new_app(check=None), "doctor", "--json")

    assert "times" in {json.loads(line)["subject"] for line in told.stdout.splitlines()}


def test_task_that_the_app_imports_later_is_known(new_app, run, tmp_path, monkeypatch):
    (tmp_path / "tasks_of_shop.py").write_text("import builtins\nbuiltins.loaded_by_askonce = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("builtins.loaded_by_askonce", False, raising=False)
    app = new_app()
    app.conf.include = ["tasks_of_shop"]

    run(app, "cost")

    assert builtins.loaded_by_askonce


def test_dead_job_is_enqueued_again_by_the_apps_own_producer(new_app, run, give_up):
    app = new_app()
    key = give_up(app, {"currency": "BRL"})

    listed = run(app, "dead", "list", "--json")
    told = run(app, "dead", "replay", key)

    assert key == json.loads(listed.stdout)["key"]
    assert (0, f"{key} admitted\n") == (told.exit_code, told.stdout)
    assert "queued" == json.loads(run(app, "explain", "rates.fetch", '{"currency": "BRL"}').stdout)["state"]


@pytest.fixture
def give_up():
    """Quarantine a job of an app; return its key."""

    def happen(app, payload):
        once = app.askonce
        outcome = once.producer.enqueue(app.tasks["rates.fetch"].job_spec, payload)
        store = once.process().store
        [record] = store.read([outcome.key])
        known = {"id": record.job, "fingerprint": record.fingerprint, "task": "rates.fetch"}
        job = Job(key=outcome.key, payload=b"", **known)
        lease = Lease(outcome.key, "owner:1", 30.0)
        store.start(job, lease)
        store.fail(lease, Failing(kind="transient", reason="timeout", max_attempts=1))
        return outcome.key

    return happen


def test_failure_is_shown_with_what_the_app_says_of_it(new_app, run, give_up):
    def cure_of(reason, *, kind, key):
        return f"call the bank of {reason} about {key} ({kind})"

    app = new_app(cure_of=cure_of)
    key = give_up(app, {"currency": "BRL"})

    listed, shown = run(app, "dead", "list"), json.loads(run(app, "dead", "show", key).stdout)

    assert "timeout: call the bank of timeout about ID (quarantined)" == listed.stderr.splitlines()[0]
    assert f"call the bank of timeout about {key} (quarantined)" == shown["cure"]


def test_app_without_words_of_its_own_names_the_command_that_replays(new_app, run, give_up):
    app = new_app()
    key = give_up(app, {"currency": "BRL"})

    why = json.loads(run(app, "jobs", "show", key, "--json").stdout)["why"]

    assert f"quarantined: timeout: Then: celery -A shop askonce dead replay {key}" == why


def test_failure_of_which_nothing_is_known_has_no_line(new_app, run, give_up):
    app = new_app(cure_of=lambda reason, *, kind, key: "")
    key = give_up(app, {"currency": "BRL"})

    listed, shown = run(app, "dead", "list"), run(app, "jobs", "show", key, "--json")

    assert "1 dead letters\n" == listed.stderr
    assert "quarantined: timeout" == json.loads(shown.stdout)["why"]


def test_dead_message_goes_back_to_a_queue_that_only_a_worker_names(new_app, run):
    app = new_app()
    store = app.askonce.process().store
    form = {"content_type": "application/json", "content_encoding": "utf-8"}
    about = json.dumps({"headers": {"task": "t", "id": "1"}, **form}).encode()
    message = DeadMessage(
        reason="unknown_task", task="t", queue="invoices", about=about, body=BODY, size=len(BODY)
    )
    for _ in range(2):
        store.letters.keep(message)

    first, second = store.letters.dead_messages()
    refused = run(app, "dead", "replay", first.id)
    store.announcements.announce(Announcement(worker="w", queues=("invoices",), tasks={}, slots=1), 15.0)
    sent = run(app, "dead", "replay", second.id)

    assert 1 == refused.exit_code
    assert "no worker reads its queue 'invoices'" in refused.stdout
    assert (0, f"{second.id} sent\n") == (sent.exit_code, sent.stdout)
    with app.connection_for_read() as connection:
        assert json.loads(BODY) == connection.SimpleQueue("invoices").get(block=False).payload


@pytest.mark.parametrize("verbose", [True, False])
def test_events_are_shown_on_request_only(new_app, run, verbose, monkeypatch):
    basic = []
    monkeypatch.setattr(logging, "basicConfig", lambda **options: basic.append(options))
    monkeypatch.setattr(logging.getLogger("askonce"), "level", logging.NOTSET)

    run(new_app(), *["-v"] * verbose, "cost")

    assert verbose == bool(basic)


def test_option_that_an_app_adds_to_every_command_does_no_harm(new_app, run):
    app, option = new_app(), click.Option(["--site"])
    app.user_options["preload"].add(option)
    params, callback = askonce.params[:], askonce.callback
    try:
        # As ``celery`` does before it calls a command.
        askonce.params.append(option)
        askonce.callback = consume_preload_options(askonce.callback)
        assert 0 == run(app, "--site", "north", "cost").exit_code
    finally:
        askonce.params, askonce.callback = params, callback
