"""``python -m worker metrics``: prints the metrics once, or serves them to Prometheus."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from contextlib import suppress
from ipaddress import IPv6Address
from threading import Thread
from typing import TYPE_CHECKING

from askonce.adapters.celery.lengths import QueueLengths
from settings.environment import load_or_exit
from settings.logs import configure
from settings.servers import new_app, new_store
from tasks.catalog import catalog
from tasks.schedule import entries
from worker.heartbeat import new_heartbeat
from worker.metrics.exposition import Exposition
from worker.metrics.reading import Reader
from worker.metrics.serve import Latest, MetricsServer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: BSD's EX_UNAVAILABLE.
_UNAVAILABLE = 69
_LAST_PORT = 65_535


def main(arguments: Sequence[str]) -> int:
    """Run the command with *arguments*; return its exit code."""
    given = _parser().parse_args(arguments)
    settings = load_or_exit()
    configure(settings.log_format)
    app = new_app()
    models = {name: spec.model for name, spec in catalog(settings).items()}
    slots = [entry.name for entry in entries(settings)]
    exposition = Exposition(models, [*app.conf.beat_schedule, *slots])
    reader = Reader(new_store(settings), app.amqp.queues, QueueLengths(app), slots)
    try:
        if given.serve is not None:
            return _serve(given.serve, lambda: exposition.text(reader.read()))
        reading = reader.read()
        sys.stdout.write(exposition.text(reading).decode())
        return 0 if reading.store is not None else _UNAVAILABLE
    finally:
        reader.close()


def _serve(address: tuple[str, int], make: Callable[[], bytes]) -> int:
    """Serve until SIGTERM or Ctrl-C, with signs of life where HEALTH_FOLDER names a folder."""
    heartbeat = new_heartbeat()
    try:
        server = MetricsServer(address, Latest(make), heartbeat.beat if heartbeat else lambda: None)
    except OSError as error:
        host = f"[{address[0]}]" if ":" in address[0] else address[0]
        where = f"{host}:{address[1]}"
        sys.stderr.write(f"metrics: cannot listen on {where}: {error.strerror or error}\n")
        return _UNAVAILABLE
    for number in (signal.SIGTERM, signal.SIGINT):
        # shutdown() waits for the loop that runs in this thread.
        signal.signal(number, lambda *_: Thread(target=server.shutdown).start())
    with server:
        logging.getLogger("askonce").info("metrics: served on %s:%s", *server.server_address[:2])
        if heartbeat is not None:
            heartbeat.ready()
        server.serve_forever()
        if heartbeat is not None:
            heartbeat.unready()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m worker metrics",
        description="Print the metrics of all processes once, or serve them to Prometheus.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--serve",
        type=_address,
        metavar="[HOST]:PORT",
        help="serve GET /metrics; without HOST on all addresses",
    )
    return parser


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > _LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no [HOST]:PORT")
    return _host(host, text), int(port)


def _host(host: str, text: str) -> str:
    """Return *host* without the brackets that an address of IPv6 has, and nothing else."""
    if not {"[", "]", ":"} & set(host):
        return host
    inner = host.removeprefix("[").removesuffix("]")
    with suppress(ValueError):
        if host == f"[{inner}]":
            return str(IPv6Address(inner))
    raise argparse.ArgumentTypeError(
        f"{text!r} is no [HOST]:PORT; an address of IPv6 is in brackets: [::1]:9808"
    )
