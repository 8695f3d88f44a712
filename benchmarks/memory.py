"""Memory: the bytes that one record takes on the server, queued and done."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from redis import Redis

from askonce.adapters.celery.sender import CelerySender
from askonce.answer import Encoded, Ttl
from askonce.job import Owner
from askonce.key import identify
from askonce.store import Lease
from benchmarks.apps import URL, app, once, once_noop, payload

if TYPE_CHECKING:
    from askonce.job import JobId
    from benchmarks.measure import Table

RECORDS = 100_000
_SPEC = once_noop.job_spec
_ANSWER = Encoded(b"x" * 1000, b"")


class Discarding(CelerySender):
    """Routes jobs as the app does, and sends none: a broker on the same server would be measured too."""

    def send(self, *_: Any, **__: Any) -> None: ...


def run(table: Table, *, jobs: int = RECORDS) -> None:
    """Measure so many *jobs*: queued with a payload of 1 KB, then done with an answer of 1 KB."""
    records = _Records()
    # A server that forgets a million records replies late.
    with Redis.from_url(URL, socket_timeout=None) as client:
        _empty(client)
        # What a server keeps once: the scripts, and the sender's route.
        records.end(-1, records.queue(-1))
        empty = _used(client)
        queued = [records.queue(number) for number in range(jobs)]
        with_queued = _used(client)
        for number, job in enumerate(queued):
            records.end(number, job)
        with_done = _used(client)
        _empty(client)
    table.title(f"Memory of the server, {jobs:,} records")
    for name, used in (("queued, payload of 1 KB", with_queued), ("done, answer of 1 KB", with_done)):
        table.line(name, f"{(used - empty) / jobs:,.0f} bytes", "a record")


class _Records:
    def __init__(self) -> None:
        self._store, self._base = once.process().store, payload(0)
        self._producer = replace(once.producer, publish=None, sender=Discarding(app))

    def queue(self, number: int) -> JobId:
        return self._producer.enqueue(_SPEC, self._payload(number)).job

    def end(self, number: int, job: JobId) -> None:
        of_record = identify(_SPEC, self._payload(number))._replace(id=job)
        lease = Lease(of_record.key, Owner(f"host:1:{number:032x}"), 300)
        self._store.start(of_record, lease)
        self._store.complete(lease, _ANSWER, Ttl(86_400, 172_800))

    def _payload(self, number: int) -> dict[str, object]:
        return {**self._base, "order_id": f"A-{number}"}


def _empty(client: Any) -> None:
    # Without SYNC the server may free the memory later, while it is measured.
    client.execute_command("FLUSHDB", "SYNC")


def _used(client: Redis) -> int:
    return int(client.info("memory")["used_memory"])
