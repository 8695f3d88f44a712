import os
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest
from celery import chord
from redis import Redis

from askonce.errors import JobFailed
from sandbox.valkey import Valkey
from tests import preloaded
from tests.deadlines import stretched

pytestmark = [
    pytest.mark.fault,
    pytest.mark.redis_broker("has a broker of its own"),
    # Celery's result backend speaks redis-py's older language.
    pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning"),
]

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
POOLS = {"prefork": ("-P", "prefork", "-c", "4"), "threads": ("-P", "threads", "-c", "4")}
SECONDS = 120


class Stage:
    """A broker, workers of `canvas_app` and what they wrote down."""

    def __init__(self, server, folder, eventually):
        self.server, self.folder, self.eventually = server, folder, eventually
        self.env = {**os.environ, "CANVAS_URL": server.url, "PYTHONPATH": f"{HERE}:{ROOT}"}
        self.client = Redis.from_url(server.url, decode_responses=True)
        self.workers = []
        os.environ["CANVAS_URL"] = server.url
        sys.path.insert(0, str(HERE))
        sys.modules.pop("canvas_app", None)
        import canvas_app

        self.tasks = canvas_app

    def start_worker(self, *pool):
        number = len(self.workers)
        path = self.folder / f"worker-{number}.log"
        options = ("--without-mingle", "-n", f"w{number}@test", "-l", "info")
        command = ("-m", "celery", "-A", "canvas_app", "worker", *options, *pool)
        with path.open("wb") as log:
            worker = preloaded.start(command, self.env, cwd=self.folder, stdout=log, stderr=log)
        self.workers.append(worker)
        self.eventually(lambda: b" ready." in path.read_bytes(), 60)
        return worker

    def begun(self):
        return self.client.lrange("begun", 0, -1)

    def ended(self):
        return self.client.lrange("ended", 0, -1)

    def wait_for_begun(self, count):
        return self.eventually(lambda: len(self.begun()) >= count and self.begun(), 60)

    @contextmanager
    def held(self):
        self.client.set("hold", 1)
        try:
            yield
        finally:
            self.client.delete("hold")

    def received(self, task_id):
        """How often workers took a message of this task."""
        logs = [path.read_text(errors="replace") for path in self.folder.glob("worker-*.log")]
        return sum(log.count(f"Task call[{task_id}] received") for log in logs)

    def get(self, result):
        return result.get(timeout=stretched(SECONDS))


@pytest.fixture
def stage(tmp_path, eventually, kill_group):
    with Valkey(tcp=True) as server:
        stage = Stage(server, tmp_path, eventually)
        yield stage
        stage.client.delete("hold")
        for worker in stage.workers:
            kill_group(worker)
        stage.tasks.app.close()
        stage.tasks.once.process().store.close()
        stage.client.close()


def counted(entries):
    return Counter(int(entry.split(":")[0]) for entry in entries)


@pytest.mark.parametrize("pool", POOLS)
def test_chord_of_a_hundred_parts_outlives_a_killed_worker(stage, kill_group, pool):
    call = stage.tasks.call
    doomed = stage.start_worker(*POOLS[pool])
    for n in range(100, 110):
        assert stage.get(call.delay(n)) == n + 1
    fresh = list(range(40))
    numbers = fresh + list(range(100, 110)) + (fresh + fresh)[:50]
    with stage.held():
        result = chord([call.s(n) for n in numbers], stage.tasks.collect.s()).delay()
        stage.wait_for_begun(10 + 4)
        kill_group(doomed)
        lost = counted(stage.begun()) - counted(stage.ended())
        stage.start_worker(*POOLS[pool])

    assert stage.get(result) == [n + 1 for n in numbers]
    calls = counted(stage.begun())
    assert stage.client.lrange("collected", 0, -1) == ["100"]
    assert sorted(calls) == sorted(set(numbers))
    assert calls - Counter(set(numbers)) == lost
    assert sum(lost.values()) == 4


@pytest.mark.long
def test_parts_of_a_killed_child_complete(stage, kill):
    stage.start_worker(*POOLS["prefork"])
    with stage.held():
        numbers = [1, 2, 1, 3]
        result = chord([stage.tasks.call.s(n) for n in numbers], stage.tasks.collect.s()).delay()
        begun = stage.wait_for_begun(3)
        kill(int(begun[0].split(":")[1]))

    assert stage.get(result) == [2, 3, 2, 4]
    assert stage.client.lrange("collected", 0, -1) == ["4"]
    assert len(stage.begun()) == 4


def test_part_that_fails_for_now_is_called_again_and_counted_once(stage):
    stage.start_worker(*POOLS["threads"])
    parts = [stage.tasks.call.s(n, "once") for n in (1, 1, 2)]

    assert stage.get(chord(parts, stage.tasks.collect.s()).delay()) == [2, 2, 3]
    assert counted(stage.begun()) == {1: 2, 2: 2}


def test_part_without_an_answer_fails_the_chord(stage):
    stage.start_worker(*POOLS["threads"])
    parts = [stage.tasks.call.s(1), stage.tasks.call.s(2, "always")]
    body = stage.tasks.collect.s().on_error(stage.tasks.note.si("chord failed"))
    result = chord(parts, body).delay()

    stage.eventually(lambda: stage.client.lrange("noted", 0, -1), 60)
    with pytest.raises(JobFailed) as caught:
        stage.get(result.parent[1])

    assert (caught.value.kind, caught.value.reason) == ("permanent", "http_404")
    assert not stage.client.exists("collected")


@pytest.mark.long
@pytest.mark.parametrize("terminate", [False, True], ids=["waiting", "running"])
def test_job_whose_task_was_revoked_is_still_answered_for_others(stage, terminate):
    call, app = stage.tasks.call, stage.tasks.app
    stage.start_worker("-P", "prefork", "-c", "2")
    with stage.held():
        if not terminate:
            stage.client.set("hold", 1)
            for n in (8, 9):
                call.delay(n)
            stage.wait_for_begun(2)
        asked = call.enqueue({"n": 1, "fails": ""})
        if terminate:
            stage.wait_for_begun(1)
        other = call.enqueue({"n": 1, "fails": ""})
        assert other.job == asked.job
        [reply] = app.control.revoke(
            asked.job, terminate=terminate, signal="SIGKILL", reply=True, timeout=stretched(10)
        )
        assert reply

    assert other.result(SECONDS).value == 2
    assert counted(stage.begun())[1] == 1 + terminate


@pytest.mark.long
def test_worker_that_lives_keeps_its_delivery_past_the_timeout(stage):
    for _ in range(2):
        stage.start_worker(*POOLS["threads"])
    with stage.held():
        result = stage.tasks.call.delay(1)
        stage.wait_for_begun(1)
        first = server_time(stage)
        stage.eventually(lambda: server_time(stage) > first + 3 * stage.tasks.VISIBILITY, 60)

    assert stage.get(result) == 2
    assert stage.received(result.id) == 1


@pytest.mark.long
def test_task_resting_past_the_timeout_is_delivered_once(stage):
    for _ in range(2):
        stage.start_worker(*POOLS["threads"])

    result = stage.tasks.call.apply_async((1,), countdown=3 * stage.tasks.VISIBILITY, reply_to="nobody")

    assert stage.get(result) == 2
    assert stage.received(result.id) == 1


def test_late_message_is_revoked_and_costs_others_nothing(stage):
    call = stage.tasks.call
    # With an option of one message, Celery's own expiry holds for that message.
    late = call.apply_async((1,), expires=0.001, reply_to="nobody")
    other = call.apply_async((1,), countdown=0)
    stage.start_worker(*POOLS["threads"])

    assert stage.get(other) == 2
    stage.eventually(lambda: late.state == "REVOKED", 30)
    assert len(stage.begun()) == 1


def test_late_job_ends_as_expired(stage):
    late = stage.tasks.call.apply_async((1,), expires=0.001)
    stage.start_worker(*POOLS["threads"])

    with pytest.raises(JobFailed, match="kind=expired"):
        stage.get(late)
    assert stage.begun() == []


@pytest.mark.parametrize("asker", ["attached", "answered"])
def test_links_of_a_duplicate_are_called(stage, asker):
    call, note = stage.tasks.call, stage.tasks.note
    stage.start_worker(*POOLS["threads"])
    with stage.held():
        first = call.delay(1)
        failing = call.delay(2, "always")
        stage.wait_for_begun(2)
        if asker == "attached":
            linked(call, note)
    stage.get(first)
    stage.eventually(failing.ready, 60)
    if asker == "answered":
        linked(call, note)

    stage.eventually(lambda: stage.client.llen("noted") == 2, 60)
    assert sorted(stage.client.lrange("noted", 0, -1)) == ["2", "no answer"]
    assert counted(stage.begun()) == {1: 1, 2: 1}


def linked(call, note):
    call.apply_async((1,), link=note.s())
    call.apply_async((2, "always"), link_error=note.si("no answer"))


def test_answer_whose_result_celery_no_longer_has_is_a_result_again(stage):
    stage.start_worker(*POOLS["threads"])
    first = stage.tasks.call.delay(1)
    stage.get(first)
    first.forget()

    assert stage.get(stage.tasks.app.AsyncResult(stage.tasks.call.delay(1).id)) == 2
    assert len(stage.begun()) == 1


def server_time(stage):
    return stage.client.time()[0]
