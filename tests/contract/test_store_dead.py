from dataclasses import replace

from askonce.letters import BODY_KEPT, DeadMessage
from askonce.record import BUCKETS

WEEK = 604_800.0
MESSAGE = DeadMessage(
    reason="undecodable", task="orders", job="j-1", queue="askonce", about=b'{"a":1}', body=b"{x"
)


def test_dead_job_is_listed_with_its_history(scene):
    scene.run(max_attempts=2, version="7", tenant="acme")
    scene.fail(reason="http_500")
    scene.start("owner-2")
    scene.fail("owner-2")

    [(key, until)] = scene.store.letters.dead_jobs()
    shown = scene.show(payload=True)

    assert (scene.key, float(scene.clock() + WEEK)) == (key, until)
    own = scene.job("job-1", version="7", tenant="acme", admitted_at=shown.job.admitted_at)
    assert (own, "http_503") == (shown.job, shown.reason)
    assert (2, ("http_500", "http_503")) == (shown.attempts, shown.history)
    assert (float(scene.clock()), until) == (shown.since, shown.until)


def test_payload_is_shown_on_request_only(scene):
    scene.quarantined()

    assert (b"", b'{"n":1}') == (scene.show().job.payload, scene.show(payload=True).job.payload)


def test_history_shows_killed_workers(scene):
    scene.run(max_attempts=2)
    scene.clock.advance(31)
    scene.reap()
    scene.start("owner-2")
    scene.clock.advance(31)
    scene.reap()

    assert ("worker_lost", "attempts_spent") == scene.show().history


def test_history_of_a_revived_job_begins_anew(scene):
    scene.run(max_attempts=1)
    scene.fail(reason="undeliverable")
    scene.start("owner-2")

    assert ("attempts_spent",) == scene.show().history


def test_history_is_bounded(scene):
    scene.run(max_attempts=20)
    for n in range(12):
        scene.fail(reason=f"r{n} " + "x" * 50)
        scene.start()
    scene.store.invalidate(scene.key)
    scene.run(max_attempts=10)
    for n in range(10):
        scene.fail(reason=f"r{n}")
        scene.start()
    history = scene.show().history

    assert tuple(f"r{n}" for n in range(2, 10)) == history


def test_lost_job_carries_its_version_and_tenant(scene):
    scene.admit(version="7", tenant="acme")
    scene.clock.advance(61)

    assert [("7", "acme")] == [(lost.job.version, lost.job.tenant) for lost in scene.reap()]


def test_job_that_is_admitted_or_invalidated_leaves_the_list(scene):
    other = scene.at("0b" + "1" * 62)
    scene.quarantined()
    other.quarantined()
    scene.admit("job-2", force=True)
    other.invalidate()

    assert [None, None] == scene.store.letters.show([scene.key, other.key])
    assert [] == scene.store.letters.dead_jobs()
    scene.start("owner-2", "job-2")
    scene.complete("owner-2")
    assert scene.show() is None


def test_quarantine_is_listed_until_its_time_is_over(scene):
    scene.quarantined()
    scene.clock.advance(WEEK - 0.125)
    assert [scene.key] == [key for key, _ in scene.store.letters.dead_jobs()]

    scene.clock.advance(0.125)

    assert [] == scene.store.letters.dead_jobs()
    assert scene.show() is None


def test_jobs_of_all_buckets_are_listed_the_oldest_first(scene):
    keys = [f"{(7 * n) % BUCKETS:02x}{n:062x}" for n in range(300)]
    for key in keys:
        scene.at(key).quarantined()
        scene.clock.advance(1)

    assert keys == [key for key, _ in scene.store.letters.dead_jobs()]


def test_dead_message_is_kept_as_it_was(scene):
    scene.store.letters.keep(MESSAGE)

    [kept] = scene.store.letters.dead_messages()

    assert replace(MESSAGE, id=kept.id, size=2) == kept
    assert kept.whole


def test_long_dead_message_is_cut_and_is_not_whole(scene):
    scene.store.letters.keep(replace(MESSAGE, body=b"x" * (BODY_KEPT + 1)))

    [kept] = scene.store.letters.dead_messages()

    assert (BODY_KEPT, BODY_KEPT + 1, False) == (len(kept.body), kept.size, kept.whole)


def test_dead_messages_of_many_pages_are_all_listed_in_order(scene):
    for n in range(120):
        scene.store.letters.keep(replace(MESSAGE, job=f"{n}"))

    assert [f"{n}" for n in range(120)] == [message.job for message in scene.store.letters.dead_messages()]


def test_dead_messages_are_bounded_and_the_newest_stay(scene):
    for n in range(1300):
        scene.store.letters.keep(replace(MESSAGE, job=f"{n}"))

    kept = [message.job for message in scene.store.letters.dead_messages()]

    assert 1000 <= len(kept) < 1200
    assert "1299" == kept[-1]


def test_dropped_dead_message_is_gone(scene):
    scene.store.letters.keep(MESSAGE)
    scene.store.letters.keep(replace(MESSAGE, job="j-2"))
    first, second = scene.store.letters.dead_messages()

    assert 1 == scene.store.letters.drop([first.id])
    assert 0 == scene.store.letters.drop([first.id])
    assert [second] == scene.store.letters.dead_messages()
    assert 0 == scene.store.letters.drop([])
