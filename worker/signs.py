"""Signs of life of a worker and of beat, for ``python -m worker health``: each from its own loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from celery.bootsteps import StartStopStep
from celery.concurrency.solo import TaskPool as SoloPool
from celery.signals import worker_ready, worker_shutdown, worker_shutting_down

from askonce.adapters.celery.scheduler import Scheduler as FiringScheduler
from settings.environment import load
from worker.heartbeat import INTERVAL, LIMIT, Heartbeat, new_heartbeat
from worker.successes import named

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Celery
    from celery.beat import ScheduleEntry


def add_signs(app: Celery) -> None:
    """Let the workers of *app* show their signs where HEALTH_FOLDER names a folder."""
    if load().health_folder is not None:
        app.steps["consumer"].add(HeartbeatStep)


class HeartbeatStep(StartStopStep):
    """Touches the sign of life from the event loop's timer: a loop that hangs touches nothing.

    While the broker is away the loop stands still, and connects again and again. Then each try is a sign.
    """

    requires = ("celery.worker.consumer.connection:Connection",)

    def __init__(self, parent: Any, **options: Any) -> None:  # noqa: ANN401  # Celery's signature
        """Write the first sign: from here on the worker connects."""
        super().__init__(parent, **options)
        # The pool "solo" runs its jobs in the loop.
        runs_jobs = isinstance(parent.pool, SoloPool)
        heartbeat = new_heartbeat(limit=LIMIT + (load().longest_attempt() if runs_jobs else 0))
        assert heartbeat is not None, "the step is there with a folder only"
        self._heartbeat, self._timed = heartbeat, cast("Any", None)
        self._connect = parent.ensure_connected
        parent.ensure_connected = self._connect_and_beat
        # Weak references: the step lives as long as its consumer.
        worker_ready.connect(self._ready)
        for ends in (worker_shutting_down, worker_shutdown):
            ends.connect(self._unready)

    def start(self, parent: Any) -> None:  # noqa: ANN401
        """Touch the sign in each turn of the timer; there is a connection."""
        self._heartbeat.beat()
        self._timed = parent.timer.call_repeatedly(INTERVAL, self._heartbeat.beat)

    def stop(self, parent: Any) -> None:  # noqa: ANN401
        """Leave the timer alone: the connection is lost, or the worker ends."""
        if self._timed is not None:
            parent.timer.cancel(self._timed)
            self._timed = None

    def _connect_and_beat(self, connection: Any) -> object:  # noqa: ANN401
        _beat_while_connecting(connection, self._heartbeat)
        return self._connect(connection)

    def _ready(self, **_: object) -> None:
        self._heartbeat.ready()

    def _unready(self, **_: object) -> None:
        self._heartbeat.unready()


class Scheduler(FiringScheduler):
    """The scheduler of both schedules: with signs of life, and an entry's name in messages of Celery's."""

    _heartbeat: Heartbeat | None = None

    def setup_schedule(self) -> None:
        """Begin to show signs: this scheduler will tick."""
        super().setup_schedule()
        self._heartbeat = new_heartbeat(limit=LIMIT + (self.max_interval or 0))

    def tick(self, *arguments: Any, **options: Any) -> float:  # noqa: ANN401
        """Send what is due; return the seconds until the next tick."""
        seconds = float(super().tick(*arguments, **options))
        if self._heartbeat is not None:
            self._heartbeat.beat()
            self._heartbeat.ready()
        return seconds

    def apply_async(
        self,
        entry: ScheduleEntry,
        producer: Any = None,  # noqa: ANN401
        advance: bool = True,  # noqa: FBT001, FBT002  # Celery's signature
        **options: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Send the message of *entry*, which names it."""
        due: Any = self.reserve(entry) if advance else entry
        return super().apply_async(named(due), producer=producer, advance=False, **options)

    def close(self) -> None:
        """Write the schedule: beat ends."""
        if self._heartbeat is not None:
            self._heartbeat.unready()
        super().close()

    def _ensure_connected(self) -> object:
        if self._heartbeat is not None:
            _beat_while_connecting(self.connection, self._heartbeat)
        return super()._ensure_connected()  # type: ignore[misc]  # celery-types does not know it


def _beat_while_connecting(connection: Any, heartbeat: Heartbeat) -> None:  # noqa: ANN401
    """Let *connection* beat before each try, and each second between two of them."""
    connect = connection.ensure_connection

    def ensure(errback: object, max_retries: int | None, callback: Callable[[], object] = int) -> object:
        def beat() -> None:
            heartbeat.beat()
            callback()

        beat()
        return connect(errback, max_retries, callback=beat)

    connection.ensure_connection = ensure
