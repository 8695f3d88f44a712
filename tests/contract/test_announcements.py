from dataclasses import replace

import pytest

from askonce.announcements import BYTES_KEPT, KEPT_FOR_AT_MOST, WORKERS_KEPT, Announcement

TTL = 15.0
ANNOUNCEMENT = Announcement(
    worker="celery@a:7",
    tasks={"orders": "1", "meetings": "4f"},
    models={"meetings": "m-1"},
    queues=("fast", "slow"),
    slots=8,
)


@pytest.fixture
def board(scene):
    return scene.store.announcements


def living(board):
    return [each.worker for each in board.workers()]


def test_announced_worker_is_listed_with_all_it_announced(scene, board):
    board.announce(ANNOUNCEMENT, TTL)
    scene.clock.advance(4)

    [found] = board.workers()

    assert replace(ANNOUNCEMENT, since=float(scene.clock() - 4), seen_in=4.0) == found


def test_worker_that_announces_again_is_listed_once_with_its_start(scene, board):
    began = float(scene.clock())
    board.announce(ANNOUNCEMENT, TTL)
    scene.clock.advance(5)
    board.announce(replace(ANNOUNCEMENT, queues=("fast",)), TTL)
    scene.clock.advance(TTL - 1)

    [found] = board.workers()

    assert (("fast",), began, TTL - 1) == (found.queues, found.since, found.seen_in)


def test_announcement_is_over_exactly_at_its_time(scene, board):
    board.announce(ANNOUNCEMENT, TTL)
    board.announce(replace(ANNOUNCEMENT, worker="celery@b:7"), TTL - 1)

    scene.clock.advance(TTL - 1)
    assert ["celery@a:7"] == living(board)
    scene.clock.advance(0.999)
    assert ["celery@a:7"] == living(board)
    scene.clock.advance(0.001)
    assert [] == living(board)


def test_worker_that_returns_after_its_time_has_a_new_start(scene, board):
    board.announce(ANNOUNCEMENT, TTL)
    scene.clock.advance(TTL)
    board.announce(ANNOUNCEMENT, TTL)

    assert [float(scene.clock())] == [each.since for each in board.workers()]


def test_withdrawn_worker_is_not_listed_and_others_stay(board):
    board.announce(ANNOUNCEMENT, TTL)
    board.announce(replace(ANNOUNCEMENT, worker="celery@b:7"), TTL)
    board.withdraw("celery@a:7")
    board.withdraw("celery@a:7")

    assert ["celery@b:7"] == living(board)


def test_workers_are_bounded_and_those_that_end_last_stay(scene, board):
    for number in range(WORKERS_KEPT + 3):
        board.announce(replace(ANNOUNCEMENT, worker=f"w{number:04}"), TTL)
        scene.clock.advance(0.001)

    assert [f"w{number:04}" for number in range(3, WORKERS_KEPT + 3)] == living(board)


def test_long_announcement_is_cut_and_is_not_whole(board):
    tasks = {f"task-{number:05}" + "x" * 50: "1" for number in range(BYTES_KEPT // 50)}
    board.announce(replace(ANNOUNCEMENT, tasks=tasks), TTL)

    [found] = board.workers()

    assert not found.whole
    assert tasks.items() > found.tasks.items()
    assert found.tasks
    assert ANNOUNCEMENT.queues == found.queues


def test_name_that_no_terminal_should_show_is_left_out(board):
    odd = {"a\x1b[2J": "1", "b": "1\n2", "c" * 201: "1", "orders": "1"}
    board.announce(replace(ANNOUNCEMENT, tasks=odd, queues=("fast\r", "slow")), TTL)

    [found] = board.workers()

    assert ({"orders": "1"}, ("slow",), False) == (found.tasks, found.queues, found.whole)


@pytest.mark.parametrize("ttl", [0.0, -1.0, KEPT_FOR_AT_MOST + 1, float("nan"), float("inf")])
def test_time_that_no_announcement_may_last_is_refused(board, ttl):
    with pytest.raises(ValueError, match="at most 60 seconds"):
        board.announce(ANNOUNCEMENT, ttl)

    assert [] == living(board)
