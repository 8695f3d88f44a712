"""Stands in for the two paid services, OpenAI's API and the customer lookup, on one local port.

Start it with `python -m sandbox.outside.stand_in --ledger DIR`. It prints its addresses as one JSON line.

    a call:  arrives -> ledger "begun" -> held? -> latency -> answer -> ledger "ended" -> last byte

    GET  /healthz                200
    GET  /customers/{id}         200, 404, or at the failure rate 503
    GET  /lookups/{kind}/{name}  200, or at the failure rate 503
    POST /v1/responses           200, 400, 401, 404, 429, or at the failure rate 503 and 429,
                                 at the error rate 500;
                                 with `background` 200 at once; at the failure rate it fails later;
                                 at the malformed rate 200 with half of the answer
    GET  /v1/responses/{id}      200, 401, 404, 429; retrieves a background response; not in the ledger
    POST /v1/chat/completions    as POST /v1/responses
    GET  /v1/models              200, 401, 404; not in the ledger; also /v1/models/{id}
    GET  /control                settings, number of held calls, and of model calls that are open: now, at
                                 most, and at most since a reset; `?held=N&seconds=S` waits for N held ones
    POST /control                changes the settings in its body; `reset_most_open` begins that count anew

Every other path is 404, as the page of a web server. The settings are described in `controls.py`, answers by
name in `answers.py`.
"""

import argparse
import json
import os
import signal
import socketserver
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from http.server import ThreadingHTTPServer
from pathlib import Path

from sandbox.outside import answers, openai_wire
from sandbox.outside.answers import Answer, AnswersInvalid
from sandbox.outside.background import Responses
from sandbox.outside.controls import BadSetting, Controls, Settings
from sandbox.outside.customers import CUSTOMERS, Customers
from sandbox.outside.handler import Handler
from sandbox.outside.ledger import LedgerWriter
from sandbox.outside.model import Model
from sandbox.outside.script import Script
from sandbox.parent import die_with_parent

_HOST = "127.0.0.1"
_RESET = "reset_most_open"


class StandIn(ThreadingHTTPServer):
    """Both services on one port, with one thread for each connection."""

    request_queue_size = 1024  # many workers may connect at the same time
    daemon_threads = True

    def __init__(
        self,
        *,
        host: str = _HOST,
        port: int,
        ledger: Path,
        customers: Path,
        settings: Settings,
        model: str = openai_wire.MODEL,
        answers: Mapping[str, Answer],
    ) -> None:
        self._script = Script(answers)
        self._script.begin(settings.script)
        super().__init__((host, port), Handler)
        self.controls = Controls(settings)
        self.customers = Customers(customers)
        self.customer_calls = LedgerWriter(ledger, "customers")
        self.lookup_calls = LedgerWriter(ledger, "lookups")
        self.model_calls = LedgerWriter(ledger, "openai")
        self.model = Model(controls=self.controls, script=self._script, name=model)

    @property
    def url(self) -> str:
        """The address, without a path."""
        return f"http://{_HOST}:{self.server_port}"

    @property
    def responses(self) -> Responses:
        """The background responses."""
        return self.model.responses

    def state(self, *, held: int = 0, seconds: float = 0.0) -> dict[str, object]:
        """Return the settings and what goes on, when *held* calls are held or after *seconds*."""
        slots = {"in_slots": self.model.slots.taken, "queued": self.model.slots.queued}
        settings = self.controls.state(held=held, seconds=seconds)
        return {**settings, **asdict(self.model_calls.open_calls), **slots}

    def change(self, wanted: Mapping[str, object]) -> None:
        """Change settings; raise `BadSetting` and change none of them if one is invalid."""
        changes = {name: value for name, value in wanted.items() if name != _RESET}
        self.controls.change(changes, lambda settings: self._script.check(settings.script))
        if "script" in changes:
            self._script.begin(self.controls.settings.script)
        if wanted.get(_RESET):
            self.model_calls.reset_most_open()

    def server_bind(self) -> None:
        """Bind as a plain TCP server: the parent class queries DNS for a name, which may take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = _HOST, self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """Print no error when a client disconnects, since the ledger records it; print every other error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type] # wider types than the parent


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM, SIGINT or until the parent process ends."""
    parser = _parser()
    options = parser.parse_args(arguments)
    ends = {signal.SIGTERM, signal.SIGINT}
    # Blocked before the first thread starts: every thread inherits this, and sigwait() receives the signal.
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    die_with_parent()
    try:
        stand_in = _stand_in(options)
    except (BadSetting, AnswersInvalid) as exc:
        parser.error(str(exc))
    except OSError as exc:
        # The ledger's folder, the customers' file or the port.
        parser.error(f"cannot start: {exc.strerror} ({exc.filename or f'port {options.port}'})")
    with stand_in:
        threading.Thread(target=stand_in.serve_forever, args=(0.05,), name="accept", daemon=True).start()
        ready = {
            "openai_base_url": f"{stand_in.url}/v1",
            "customer_api_url": stand_in.url,
            "pid": os.getpid(),
        }
        print(json.dumps(ready), flush=True)
        signal.sigwait(ends)
        stand_in.shutdown()


def _stand_in(options: argparse.Namespace) -> StandIn:
    names = ("latency", "llm_latency", "failure_rate", "llm_failure_rate", "seed")
    given = {name: getattr(options, name) for name in names}
    return StandIn(
        host=options.host,
        port=options.port,
        ledger=options.ledger,
        customers=options.customers,
        settings=Settings().changed({**given, **_settings_in(options.settings)}),
        model=options.model,
        answers=answers.read(options.answers) if options.answers else {},
    )


def _settings_in(text: str) -> dict[str, object]:
    try:
        return dict(json.loads(text))
    except (TypeError, ValueError) as exc:
        raise BadSetting(f"--settings is not a JSON object: {exc}") from exc


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.outside.stand_in", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--ledger", type=Path, required=True, help="folder for the ledger of calls")
    parser.add_argument("--host", default=_HOST, help="address to listen on; a container's is 0.0.0.0")
    parser.add_argument("--port", type=int, default=0, help="0 selects a free port")
    parser.add_argument("--customers", type=Path, default=CUSTOMERS, help="CSV with a column cliente_id")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds a customer lookup takes")
    parser.add_argument("--llm-latency", type=float, default=0.0, help="seconds a model call takes")
    parser.add_argument("--failure-rate", type=float, default=0.1, help="share of lookups that fail, 0 to 1")
    parser.add_argument("--llm-failure-rate", type=float, default=0.0, help="share of model calls that fail")
    parser.add_argument("--model", default=openai_wire.MODEL, help="name of the model in its replies")
    parser.add_argument("--seed", type=int, default=1, help="selects the calls that fail")
    parser.add_argument("--answers", type=Path, help="file of answers by name, one JSON object a line")
    parser.add_argument("--settings", default="{}", help="further settings, a JSON object as for /control")
    return parser


if __name__ == "__main__":
    main()
