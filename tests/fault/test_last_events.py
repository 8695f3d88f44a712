"""Monitors hear of each job that ends, also while its worker ends or has lost the broker."""

from contextlib import contextmanager
from threading import Thread

import pytest
from celery import Celery

from tests.deadlines import stretched

pytestmark = [pytest.mark.fault, pytest.mark.long]
POOLS = pytest.mark.parametrize("pool", ["threads", pytest.param("prefork", marks=pytest.mark.long)])


class Monitor:
    """Hears the events of workers, a context manager."""

    def __init__(self, broker_url):
        self._app, self.heard = Celery(broker=broker_url, set_as_current=False), []
        self._app.conf.broker_transport_options = {"global_keyprefix": "{jobs}:"}
        self._connection = self._app.connection()
        self._receiver = self._app.events.Receiver(self._connection, handlers={"*": self._hear})
        self._thread = Thread(target=self._receiver.capture, kwargs={"wakeup": False})

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._receiver.should_stop = True
        self._thread.join()
        self._connection.close()

    def _hear(self, event):
        self.heard.append(event["type"])

    def has_heard(self, what, times=1):
        return self.heard.count(what) >= times


@contextmanager
def monitored(scene, broker_url, pool):
    worker = scene.machine.start_worker("-P", pool, "-c", "4")
    with Monitor(broker_url) as monitor:
        # One that is not there yet would hear nothing of what was sent before.
        scene.eventually(lambda: monitor.has_heard("worker-heartbeat"), 30)
        yield worker, monitor


@POOLS
def test_job_that_ends_after_its_workers_loop_is_heard(new_scene, pool):
    scene = new_scene()
    with monitored(scene, scene.machine.env["CELERY_BROKER_URL"], pool) as (worker, monitor):
        scene.hold_meetings(4)

        worker.terminate()
        scene.eventually(lambda: monitor.has_heard("worker-offline"), 30)
        scene.let_go()

        assert 0 == worker.wait(stretched(60))
        scene.eventually(lambda: monitor.has_heard("task-succeeded", 4))


@POOLS
@pytest.mark.redis_broker("its links are Redis's")
def test_job_that_ends_without_the_broker_is_heard(new_linked_scene, pool):
    scene = new_linked_scene()
    with monitored(scene, scene.messages.url, pool) as (_, monitor):
        keys = scene.hold_meetings(4)

        with scene.to_messages.refusing():
            scene.to_messages.cut()
            scene.eventually(lambda: "Connection to broker lost" in scene.log(), 30)
            scene.let_go()
            scene.wait_until_done(keys)

        scene.eventually(lambda: monitor.has_heard("task-succeeded", 4))
