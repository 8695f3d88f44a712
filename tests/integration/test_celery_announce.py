import pytest

from askonce import Workers
from tests.deadlines import stretched

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def board(new_shop):
    """An app that announces its worker, and that worker."""
    with new_shop("board").worker() as shop:
        yield shop


def queues(shop):
    return [each.queues for each in shop.store.announcements.workers()]


def control(shop, command, **arguments):
    """Send a command to the workers; the reply comes before the consumer has changed."""
    assert getattr(shop.app.control, command)(**arguments, reply=True, timeout=stretched(10), limit=1)


def test_worker_announces_its_tasks_queues_and_slots(board, eventually):
    eventually(lambda: [("board",)] == queues(board))

    [found] = board.store.announcements.workers()

    # Shared tasks that other tests of this process import belong to every app.
    assert {"add": "1", "total": "1"}.items() <= found.tasks.items()
    assert (8, True) == (found.slots, found.whole)


def test_queue_that_is_added_or_cancelled_is_announced_at_once(board, eventually, monkeypatch):
    eventually(lambda: [("board",)] == queues(board))
    # Nothing but the change may lead to an announcement.
    monkeypatch.setattr(board.once.process().announcer, "_interval", 3600.0)
    board.once.process().announcer.announce_soon()

    control(board, "add_consumer", queue="extra")
    eventually(lambda: [("board", "extra")] == queues(board))
    control(board, "cancel_consumer", queue="extra")
    eventually(lambda: [("board",)] == queues(board))


def test_app_answers_whether_workers_listen_for_a_task(board, new_shop, eventually):
    eventually(lambda: [("board",)] == queues(board))

    heard = board.once.listening("add")

    assert (Workers.RUN, "board", 1, 8) == (heard.workers, heard.queue, heard.count, heard.slots)
    assert Workers.NONE is new_shop("nobody").once.listening("add").workers


def test_task_that_is_not_idempotent_is_refused(board):
    for task in ("note", "no.such"):
        with pytest.raises(ValueError, match=f"{task} is no idempotent task of this app"):
            board.once.listening(task)


def test_listening_costs_one_script(commands, board):
    board.once.listening("add")

    assert ["workers"] == [
        name for name in commands(lambda: board.once.listening("add")) if name == "workers"
    ]
