from dataclasses import replace

from askonce.letters import BODY_KEPT, Letter
from askonce.record import BUCKETS

WEEK = 604_800.0
LETTER = Letter(reason="undecodable", task="orders", job="j-1", queue="askonce", about=b'{"a":1}', body=b"{x")


def test_job_whose_attempts_are_spent_is_listed_with_its_history(scene):
    scene.run(max_attempts=2, edition="7\nacme")
    scene.fail(reason="http_500")
    scene.start("owner-2")
    scene.fail("owner-2")

    [(key, until)] = scene.store.dead()
    [shown] = scene.store.show([key], payload=True)

    assert (scene.key, float(scene.clock() + WEEK)) == (key, until)
    assert ("orders", "job-1", "7\nacme", "http_503") == (shown.task, shown.job, shown.edition, shown.reason)
    assert (2, ("http_500", "http_503"), b'{"n":1}') == (shown.attempts, shown.history, shown.payload)
    assert (float(scene.clock()), until) == (shown.since, shown.until)


def test_payload_is_shown_only_to_who_asks_for_it(scene):
    scene.quarantined()

    assert b"" == scene.store.show([scene.key])[0].payload


def test_killed_workers_stand_in_the_history(scene):
    scene.run(max_attempts=2)
    scene.clock.advance(31)
    scene.reap()
    scene.start("owner-2")
    scene.clock.advance(31)
    scene.reap()

    assert ("worker_lost", "attempts_spent") == scene.store.show([scene.key])[0].history


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
    history = scene.store.show([scene.key])[0].history

    assert tuple(f"r{n}" for n in range(2, 10)) == history


def test_lost_job_carries_its_edition(scene):
    scene.admit(edition="7\nacme")
    scene.clock.advance(61)

    assert ["7\nacme"] == [lost.edition for lost in scene.reap()]


def test_job_that_is_admitted_anew_or_forgotten_is_listed_no_longer(scene):
    other = scene.at("0b" + "1" * 62)
    scene.quarantined()
    other.quarantined()
    scene.admit("job-2", force=True)
    other.invalidate()

    assert [None, None] == scene.store.show([scene.key, other.key])
    assert [] == scene.store.dead()
    scene.start("owner-2", "job-2")
    scene.complete("owner-2")
    assert [None] == scene.store.show([scene.key])


def test_quarantine_is_listed_until_its_time_is_over(scene):
    scene.quarantined()
    scene.clock.advance(WEEK - 0.125)
    assert [scene.key] == [key for key, _ in scene.store.dead()]

    scene.clock.advance(0.125)

    assert [] == scene.store.dead()
    assert [None] == scene.store.show([scene.key])


def test_jobs_of_all_buckets_are_listed_the_oldest_first(scene):
    keys = [f"{(7 * n) % BUCKETS:02x}{n:062x}" for n in range(300)]
    for key in keys:
        scene.at(key).quarantined()
        scene.clock.advance(1)

    assert keys == [key for key, _ in scene.store.dead()]


def test_letter_is_kept_as_it_was(scene):
    scene.store.keep_letter(LETTER)

    [kept] = scene.store.letters()

    assert replace(LETTER, id=kept.id, size=2) == kept
    assert kept.whole


def test_long_letter_is_cut_and_says_so(scene):
    scene.store.keep_letter(replace(LETTER, body=b"x" * (BODY_KEPT + 1)))

    [kept] = scene.store.letters()

    assert (BODY_KEPT, BODY_KEPT + 1, False) == (len(kept.body), kept.size, kept.whole)


def test_more_letters_than_one_page_are_all_listed_in_order(scene):
    for n in range(120):
        scene.store.keep_letter(replace(LETTER, job=f"{n}"))

    assert [f"{n}" for n in range(120)] == [letter.job for letter in scene.store.letters()]


def test_letters_are_bounded_and_the_newest_stay(scene):
    for n in range(1300):
        scene.store.keep_letter(replace(LETTER, job=f"{n}"))

    kept = [letter.job for letter in scene.store.letters()]

    assert 1000 <= len(kept) < 1200
    assert "1299" == kept[-1]


def test_dropped_letter_is_gone(scene):
    scene.store.keep_letter(LETTER)
    scene.store.keep_letter(replace(LETTER, job="j-2"))
    first, second = scene.store.letters()

    assert 1 == scene.store.drop_letters([first.id])
    assert 0 == scene.store.drop_letters([first.id])
    assert [second] == scene.store.letters()
    assert 0 == scene.store.drop_letters([])
