import json
from dataclasses import replace

import click
import pytest

from askonce.announcements import Announcement
from askonce.answer import Answer
from askonce.cli.explained import explain_row, rows_of
from askonce.errors import Configuration, LayoutNewer, Permanent, RecordDamaged, Transient
from askonce.outcomes import Admitted
from askonce.rows import BadRow, Row
from askonce.spec import RetryPolicy
from askonce.store import Lease
from producer.client import Client
from tasks.reasons import cure_of

MARKER = "hunter2-of-ana-souza"
CORRECTED = {"currency": "BRL", "day": "2026-11-21"}


@pytest.mark.parametrize(
    "error", [RecordDamaged(key="k", reason="wrong_type"), LayoutNewer(verb="read", key="k")], ids=repr
)
def test_row_whose_record_is_unreadable_is_one_row_with_a_reason(scene, explain, error):
    scene.fail_on("read", error=error)

    explained = explain()

    assert (3, {"kind": "unreadable", "reason": str(error)}) == (explained["row"], explained["error"])


@pytest.fixture
def explain(scene):
    def explain(payload=None, tenant=""):
        client = Client(specs={scene.spec.name: scene.spec}, store=scene.store, producer=scene.producer)
        row = Row(number=3, payload=scene.question if payload is None else payload)
        return explain_row(client, scene.spec.name, row, tenant)

    return explain


def given_up(on_give_up):
    def happen(scene, raising):
        scene.use(scene.store, replace(scene.spec, retry=RetryPolicy(max_attempts=1, on_give_up=on_give_up)))
        scene.answered(body=raising(Transient("http_503")))

    return happen


def run(scene, attempts):
    scene.use(scene.store, replace(scene.spec, retry=RetryPolicy(max_attempts=attempts)))
    scene.ask()
    job = scene.delivery().job
    scene.store.start(job, Lease(job.key, "owner", 30.0))


def run_late(scene, attempts):
    run(scene, attempts)
    scene.clock.advance(30)


def cancel_under_way(scene, *, lost=False):
    run(scene, 2)
    scene.store.cancel(scene.sender.sent[0].job.key)
    scene.clock.advance(30 * lost)


STATES = {
    "nothing": lambda scene, raising: None,
    "queued": lambda scene, raising: scene.ask(),
    "message lost": lambda scene, raising: (scene.ask(), scene.clock.advance(60)),
    "worker lost": lambda scene, raising: run_late(scene, 2),
    "cancelled under way": lambda scene, raising: cancel_under_way(scene),
    "cancelled, and its worker lost": lambda scene, raising: cancel_under_way(scene, lost=True),
    "fresh": lambda scene, raising: scene.answered(),
    "fresh and refreshed": lambda scene, raising: (scene.answered(), scene.ask(force=True)),
    "stale": lambda scene, raising: scene.stale(),
    "stale and refreshed": lambda scene, raising: (scene.stale(), scene.ask()),
    "resting between attempts": lambda scene, raising: scene.answered(body=raising(Transient("http_503"))),
    "rested": lambda scene, raising: (
        scene.answered(body=raising(Transient("http_503"))),
        scene.clock.advance(9),
    ),
    "failed": lambda scene, raising: scene.answered(body=raising(Permanent("http_404"))),
    "failed a while ago": lambda scene, raising: (
        scene.answered(body=raising(Permanent("http_404"))),
        scene.clock.advance(120),
    ),
    "wrongly configured": lambda scene, raising: scene.answered(body=raising(Configuration("http_401"))),
    "fallen back": lambda scene, raising: scene.answered(body=lambda: Answer(value=None, source="default")),
    "quarantined": given_up("quarantine"),
    "given up, resting": given_up("backoff"),
    "invalidated": lambda scene, raising: scene.store.invalidate(scene.answered().key),
    "other payload": lambda scene, raising: scene.answered(CORRECTED),
}


@pytest.mark.parametrize("state", STATES)
def test_verdict_is_what_enqueue_then_does(scene, explain, raising, state):
    STATES[state](scene, raising)
    before = len(scene.sender.sent)

    shown = explain()

    scene.ask()
    assert shown["would_call"] is (len(scene.sender.sent) > before), shown["why"]


def test_verdict_on_a_lost_worker_counts_its_attempts(scene, explain):
    run_late(scene, 1)

    shown = explain()

    assert not isinstance(scene.ask(), Admitted)
    assert len(scene.sender.sent) == 1
    assert shown["would_call"] is False


def test_other_payload_is_refused_by_the_tasks_policy(scene, explain):
    scene.use(scene.store, replace(scene.spec, on_mismatch="conflict"))
    scene.answered(CORRECTED)

    assert explain()["would_call"] is False


def test_explaining_changes_nothing(scene, explain):
    scene.ask()
    before = scene.read()
    explain()

    assert scene.read() == before
    assert len(scene.sender.sent) == 1


def test_key_is_the_one_that_enqueue_uses(scene, explain):
    shown = explain(tenant="shop")

    asked = scene.ask(tenant="shop")

    assert (shown["row"], shown["task"], shown["key"]) == (3, "rates.fetch", asked.key)
    assert shown["fingerprint"] == scene.sender.sent[0].job.fingerprint
    assert (shown["identity"], shown["identity_is"]) == ({"currency": "BRL"}, "key fields")


def test_payload_without_a_key_field_is_its_own_identity(explain):
    shown = explain({"day": "2026-11-20"})

    assert (shown["identity"], shown["identity_is"]) == ({"day": "2026-11-20"}, "the whole payload")


def test_long_identity_is_shown_as_its_size(explain):
    assert explain({"note": "x" * 3000})["identity"] == "3011 bytes"


def test_running_job_shows_its_holder_but_not_the_owner_token(scene, explain, running):
    scene.ask()
    running(scene.work)
    scene.clock.advance(10)

    shown = explain()

    assert (shown["state"], shown["holder"], shown["lease_left_seconds"]) == ("running", "worker-1:7", 20.0)
    assert scene.read().owner.rpartition(":")[2] not in json.dumps(shown)


def test_job_that_was_cancelled_under_way_shows_that_its_call_is_the_last(scene, explain):
    cancel_under_way(scene)

    shown = explain()

    words = "it was cancelled: its call ends by itself, and no other follows"
    assert ("running", words) == (shown["state"], shown["waits"])


def test_queued_job_shows_its_deadline_and_its_resends(scene, explain):
    asked = scene.ask()
    scene.clock.advance(60)
    scene.deliver()
    scene.ask()

    shown = explain()

    assert (shown["state"], shown["job"], shown["resent"]) == ("queued", asked.job, 1)
    assert (shown["queue_deadline_seconds"], shown["lease_left_seconds"], shown["holder"]) == (
        120.0,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("queue", "words"),
    [
        ("fast", "no worker takes queue fast: jobs wait until one does"),
        ("slow", "for a free slot: rates.fetch is run by 1 worker of queue slow"),
    ],
    ids=["of none", "of one"],
)
def test_queued_job_waits_for_workers_of_its_own_queue(scene, explain, queue, words):
    worker = Announcement(worker="w", queues=("slow",), tasks={scene.spec.name: "1"}, slots=1)
    scene.store.announcements.announce(worker, 60.0)
    scene.ask(queue=queue)

    assert words == explain()["waits"]


def test_each_queue_is_looked_up_once(scene, run_verb, tmp_path, monkeypatch):
    looks, workers = [], scene.store.announcements.workers
    monkeypatch.setattr(scene.store.announcements, "workers", lambda: looks.append(1) or workers())
    for number in range(4):
        scene.ask({"currency": f"c{number}"}, queue="slow" if number % 2 else "fast")
    rows = tmp_path / "rows"
    rows.write_text("".join(f'{{"currency": "c{number}"}}\n' for number in range(4)))
    client = Client(specs={scene.spec.name: scene.spec}, store=scene.store, producer=scene.producer)

    told = run_verb(client, "explain", "rates.fetch", str(rows))

    why = [f"no worker takes queue {name}: jobs wait until one does" for name in ("fast", "slow")]
    assert why * 2 == [json.loads(line)["waits"] for line in told.stdout.splitlines()]
    assert 2 == len(looks)


def test_stored_failure_is_shown_with_its_reason(scene, explain, raising):
    scene.answered(body=raising(Permanent("not_found")))

    shown = explain()

    failure = {"kind": "permanent", "reason": "not_found", "cure": cure_of("not_found", kind="permanent")}
    failure |= {"cost_usd": 0.0, "usage": {}}
    assert (shown["state"], shown["failure"]) == ("failed", failure)


def test_quarantined_job_is_shown_with_the_command_that_replays_it(scene, explain, raising):
    scene.answered(body=raising(Transient("timeout", max_attempts=1)))

    shown = explain()

    assert ("quarantined", "timeout") == (shown["failure"]["kind"], shown["failure"]["reason"])
    assert shown["failure"]["cure"].endswith(f"python -m producer dead replay {shown['key']}")


def test_answer_is_shown_by_its_age_only(scene, explain):
    scene.answered(body=lambda: {"secret": MARKER})
    scene.clock.advance(7)

    shown = explain()

    assert (shown["state"], shown["answer_age_seconds"]) == ("done", 7.0)
    assert MARKER not in json.dumps(shown)


def test_bad_payload_is_explained_as_bad(scene, explain):
    client = Client(specs={scene.spec.name: scene.spec}, store=scene.store, producer=scene.producer)
    bad = BadRow(number=2, field="n", reason="given twice")

    assert explain_row(client, "rates.fetch", bad, "") == {
        "row": 2,
        "error": {"field": "n", "reason": "given twice"},
    }
    assert explain({"x": float("nan")})["error"]["field"] == "x"


def test_payload_is_given_as_json_or_as_a_file(scene, tmp_path):
    (tmp_path / "rows").write_bytes(b'{"n":1}\n{"n":2}\n')

    assert list(rows_of(' {"n":1}', scene.spec)) == [Row(number=1, payload={"n": 1})]
    assert [row.payload for row in rows_of(str(tmp_path / "rows"), scene.spec)] == [{"n": 1}, {"n": 2}]
    assert isinstance(next(iter(rows_of('{"n":', scene.spec))), BadRow)


def test_file_that_is_not_there_is_a_usage_error(scene, tmp_path):
    with pytest.raises(click.UsageError, match="No such file"):
        list(rows_of(str(tmp_path / "nowhere"), scene.spec))


def test_identity_is_shown_in_its_normal_form(scene, explain):
    scene.use(scene.store, replace(scene.spec, input=lambda row: {"currency": row["currency"].strip()}))

    told = explain({"currency": " BRL ", "row": 1})

    assert ({"currency": "BRL"}, "key fields") == (told["identity"], told["identity_is"])
    assert told["key"] == scene.ask({"currency": "BRL", "row": 2}).key
