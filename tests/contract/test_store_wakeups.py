import threading
from time import monotonic

import pytest

from tests.deadlines import stretched

# One suite for every store: the end of a flight wakes its subscribers.

ENDS = {
    "complete": lambda scene: scene.complete(),
    "fail": lambda scene: scene.fail(kind="permanent"),
    "retry": lambda scene: scene.fail(after=9.0),
    "invalidate": lambda scene: scene.invalidate(),
    "reaped with its attempts spent": lambda scene: (scene.clock.advance(30), scene.reap()),
    "found with its attempts spent": lambda scene: (scene.clock.advance(30), scene.admit("job-2")),
    "started with its attempts spent": lambda scene: (scene.clock.advance(30), scene.start("owner-2")),
}


@pytest.mark.parametrize("end", ENDS)
def test_subscriber_is_woken_by_the_end(scene, end, eventually):
    scene.run(max_attempts=2 if end == "retry" else 1)
    with scene.store.subscribe([scene.key]) as subscription:
        subscription.wait(0.05)

        ENDS[end](scene)

        assert eventually(lambda: scene.key in subscription.wait(0.5))


def test_subscriber_is_woken_while_it_waits(scene, eventually):
    scene.run()
    with scene.store.subscribe([scene.key]) as subscription:
        subscription.wait(0.05)
        ender = threading.Timer(0.05, scene.complete)
        ender.start()
        began = monotonic()

        assert eventually(lambda: scene.key in subscription.wait(5.0))
        assert monotonic() - began < stretched(2)
        ender.join()


def test_subscriber_is_woken_for_its_own_keys_only(scene):
    neighbour = scene.at(scene.key[:-1] + "1")
    neighbour.run()
    with scene.store.subscribe([scene.key]) as subscription:
        subscription.wait(0.05)
        neighbour.complete()

        assert frozenset() == subscription.wait(0.1)


def test_subscriber_without_news_waits_for_its_whole_timeout(scene):
    scene.run()
    with scene.store.subscribe([scene.key]) as subscription:
        subscription.wait(0.05)
        began = monotonic()

        assert frozenset() == subscription.wait(0.2)
        assert monotonic() - began >= 0.19


def test_subscriber_hears_of_keys_that_it_adds(scene, eventually):
    neighbour = scene.at(scene.key[:-1] + "1")
    neighbour.run()
    with scene.store.subscribe([scene.key]) as subscription:
        subscription.add([scene.key, neighbour.key])
        subscription.wait(0.05)
        neighbour.complete()

        assert eventually(lambda: neighbour.key in subscription.wait(0.5))


def test_subscriber_hears_no_more_of_keys_that_it_leaves(scene, eventually):
    neighbour = scene.at(scene.key[:-1] + "1")
    scene.run()
    neighbour.run()
    heard = set()
    with scene.store.subscribe([scene.key, neighbour.key]) as subscription:
        subscription.leave([scene.key])
        scene.complete()
        neighbour.complete()
        eventually(lambda: heard.update(subscription.wait(0.5)) or neighbour.key in heard)

    assert {neighbour.key} == heard


def test_bell_ends_a_wait_in_another_thread(scene):
    scene.run()
    with scene.store.subscribe([scene.key]) as subscription:
        ring, heard = subscription.bell(), []
        subscription.wait(0.05)
        waiter = threading.Thread(target=lambda: heard.append(subscription.wait(600)), daemon=True)
        waiter.start()

        ring()

        waiter.join(stretched(20))
        assert [frozenset()] == heard


def test_bell_that_rang_before_ends_the_next_wait_only(scene, eventually):
    scene.run()
    with scene.store.subscribe([scene.key]) as subscription:
        ring = subscription.bell()
        subscription.wait(0.05)
        for _ in range(3):
            ring()
        waiter = threading.Thread(target=subscription.wait, args=(600,), daemon=True)
        waiter.start()
        waiter.join(stretched(20))
        assert not waiter.is_alive()

        ender = threading.Timer(0.05, scene.complete)
        ender.start()
        assert {scene.key} == subscription.wait(stretched(20))
        ender.join()


def test_subscriber_with_a_bell_hears_what_came_before_it_waits(scene, eventually):
    neighbour = scene.at(scene.key[:-1] + "1")
    scene.run()
    neighbour.run()
    with scene.store.subscribe([scene.key]) as subscription:
        subscription.bell()
        subscription.add([neighbour.key])
        subscription.wait(0.05)
        scene.complete()
        neighbour.complete()

        heard = set()
        eventually(lambda: heard.update(subscription.wait(0.5)) or {scene.key, neighbour.key} == heard)


def test_bell_of_a_subscription_that_ended_does_nothing(scene):
    with scene.store.subscribe([scene.key]) as subscription:
        ring = subscription.bell()
        subscription.wait(0.05)

    ring()


def test_bell_rings_as_often_as_one_likes(scene):
    with scene.store.subscribe([scene.key]) as subscription:
        ring = subscription.bell()
        for _ in range(5000):
            ring()
