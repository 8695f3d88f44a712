"""Opens the queues of a Celery app's broker for an operator."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from askonce.adapters.celery.patience import bounded_unless_set
from askonce.adapters.kombu.queues import queues_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery import Celery

    from askonce.queues import Queues

#: Seconds for each wait for a broker on Redis, where the app sets no time.
_REPLY = 2.0


@contextmanager
def open_queues(app: Celery) -> Iterator[Queues]:
    """Lend the queues of *app*'s broker; the connection ends with the block."""
    connection: Any = app.connection_for_write(transport_options=bounded_unless_set(app, _REPLY))
    with connection, queues_of(connection, sorted(cast("Any", app).amqp.queues)) as queues:
        yield queues
