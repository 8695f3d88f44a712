"""Stands in for the two paid services, OpenAI's API and the customer lookup, on one local port.

Start it with `python -m sandbox.outside.stand_in --ledger DIR`. It prints its addresses as one JSON line.

    a call:  arrives -> ledger "begun" -> held? -> latency -> answer -> ledger "ended" -> last byte

    GET  /healthz                200
    GET  /customers/{id}         200, 404, or at the failure rate 503
    POST /v1/responses           200, 400, 401, 429, or at the failure rate 503 and 429;
                                 with `background` 200 at once; at the failure rate it fails later;
                                 at the malformed rate 200 with half of the answer
    GET  /v1/responses/{id}      200, 401, 404, 429; retrieves a background response; not in the ledger
    POST /v1/chat/completions    as POST /v1/responses
    GET  /control                settings and number of held calls; `?held=N&seconds=S` waits for N of them
    POST /control                changes the settings in its body
"""

import argparse
import csv
import json
import os
import signal
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from sandbox.outside import extractive, openai_wire
from sandbox.outside.background import Responses
from sandbox.outside.controls import BadSetting, Controls, Settings, luck
from sandbox.outside.ledger import Call, LedgerWriter, content_of
from sandbox.outside.openai_wire import BadRequest, Question, Reply
from sandbox.parent import die_with_parent

_CUSTOMERS = Path(__file__).parents[1] / "samples" / "customers.csv"
_HOST = "127.0.0.1"
_KIND_SEED = 1_000_003  # another seed: the kind of a failure must not depend on the draw that made it fail


class StandIn(ThreadingHTTPServer):
    """Both services on one port, with one thread for each connection."""

    request_queue_size = 1024  # many workers may connect at the same time
    daemon_threads = True

    def __init__(
        self,
        *,
        port: int,
        ledger: Path,
        customers: Path,
        settings: Settings,
        model: str = openai_wire.MODEL,
    ) -> None:
        super().__init__((_HOST, port), _Handler)
        self.controls = Controls(settings)
        self.customers = _read_customers(customers)
        self.customer_calls = LedgerWriter(ledger, "customers")
        self.model_calls = LedgerWriter(ledger, "openai")
        self.responses = Responses()
        #: The name of the model in its replies.
        self.model = model

    @property
    def url(self) -> str:
        """The address, without a path."""
        return f"http://{_HOST}:{self.server_port}"

    def server_bind(self) -> None:
        """Bind as a plain TCP server: the parent class queries DNS for a name, which may take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = _HOST, self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """Print no error when a client disconnects, since the ledger records it; print every other error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type] # wider types than the parent


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: StandIn

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        match address.path.split("/")[1:]:
            case ["healthz"]:
                self._send(Reply(status=HTTPStatus.OK, body={"status": "ok"}))
            case ["control"]:
                self._send(_state(self.server.controls, parse_qs(address.query)))
            case ["customers", customer] if customer:
                self._look_up(unquote(customer))
            case ["v1", "responses", response] if response:
                refusal = openai_wire.refused_key(self.headers.get("Authorization"))
                self._send(refusal or self.server.responses.retrieve(unquote(response)))
            case _:
                self._send(_not_found(self.path))

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        match self.path:
            case openai_wire.RESPONSES_PATH | openai_wire.CHAT_PATH:
                self._call_model(raw)
            case "/control":
                self._send(_change(self.server.controls, raw))
            case _:
                self._send(_not_found(self.path))

    def _look_up(self, cliente_id: str) -> None:
        call = self.server.customer_calls.begun(content_of(cliente_id))
        if self.server.controls.let_through(call):
            reply = _customer(self.server.customers, cliente_id)
        else:
            reply = _problem(HTTPStatus.SERVICE_UNAVAILABLE, "The customer service is overloaded.")
        self._finish(self.server.customer_calls, call, reply)

    def _call_model(self, raw: bytes) -> None:
        calls = self.server.model_calls
        refusal = openai_wire.refused_key(self.headers.get("Authorization"))
        try:
            question = openai_wire.question_in(self.path, raw)
        except BadRequest as exc:
            call = calls.begun(content_of(raw.decode(errors="replace")))
            reply = refusal or openai_wire.refused(HTTPStatus.BAD_REQUEST, str(exc), "invalid_request_error")
        else:
            call = calls.begun(question.content)
            if question.background and refusal is None:
                self._create(question, call)
                return
            reply = refusal or self._answer(self.path, question, call)
        self._finish(calls, call, reply)

    def _create(self, question: Question, call: Call) -> None:
        """Reply at once and answer later. A client that misses the reply has no id to retrieve the answer."""
        responses = self.server.responses
        body = responses.create(question, int(time.time()))
        reply = self._bytes(Reply(status=HTTPStatus.OK, body=body))
        delivered = self._arrives(reply[:-1])

        def ended(made: Reply) -> None:
            self._end(self.server.model_calls, call, made, delivered=delivered)

        # A copy: when the thread reads it, the connection may serve another request.
        path = self.path
        making = (body, lambda: self._answer(path, question, call), ended)
        threading.Thread(target=responses.make, args=making, name="response", daemon=True).start()
        self._release(reply, delivered=delivered)

    def _answer(self, path: str, question: Question, call: Call) -> Reply:
        if not self.server.controls.let_through(call):
            return _overloaded(call)
        found = extractive.answer(question.text, question.schema)
        text = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
        if self.server.controls.malforms(call):
            text = text[: len(text) // 2]
        return openai_wire.answered(path, question, text, int(time.time()), model=self.server.model)

    def _finish(self, calls: LedgerWriter, call: Call, reply: Reply) -> None:
        """Send the reply, and record in the ledger whether the client received it.

        client   ├─ has all but one byte ───────────────┤ has the reply
        server   sends ── checks the socket ── "ended" ── last byte

        So a client with a complete reply always finds it in the ledger. A client that ends between the check
        and the last byte is recorded as delivered; a server cannot know this.
        """
        answer = self._bytes(reply)
        delivered = self._arrives(answer[:-1])
        self._end(calls, call, reply, delivered=delivered)
        self._release(answer, delivered=delivered)

    def _end(self, calls: LedgerWriter, call: Call, reply: Reply, *, delivered: bool) -> None:
        calls.ended(
            call,
            status=reply.status,
            delivered=delivered,
            input_tokens=reply.input_tokens,
            output_tokens=reply.output_tokens,
        )

    def _release(self, answer: bytes, *, delivered: bool) -> None:
        """Send the last byte, which `_arrives` left out."""
        if delivered:
            self.wfile.write(answer[-1:])
        else:
            self.close_connection = True

    def _arrives(self, data: bytes) -> bool:
        try:
            self.wfile.write(data)
            # The socket of a killed process is closed: recv() then returns no bytes instead of raising.
            return bool(self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except BlockingIOError:
            return True
        except ConnectionError:
            return False

    def _send(self, reply: Reply) -> None:
        self.wfile.write(self._bytes(reply))

    def _bytes(self, reply: Reply) -> bytes:
        body = json.dumps(reply.body, ensure_ascii=False).encode()
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **(openai_wire.headers_of(reply) if self.path.startswith("/v1/") else {}),
            **reply.headers,
        }
        lines = [
            f"HTTP/1.1 {reply.status:d} {HTTPStatus(reply.status).phrase}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        return "\r\n".join([*lines, "", ""]).encode() + body


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM, SIGINT or until the parent process ends."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        settings = _settings(options)
    except BadSetting as exc:
        parser.error(str(exc))
    ends = {signal.SIGTERM, signal.SIGINT}
    # Blocked before the first thread starts: every thread inherits this, and sigwait() receives the signal.
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    die_with_parent()
    with StandIn(
        port=options.port,
        ledger=options.ledger,
        customers=options.customers,
        settings=settings,
        model=options.model,
    ) as stand_in:
        threading.Thread(target=stand_in.serve_forever, args=(0.05,), name="accept", daemon=True).start()
        ready = {
            "openai_base_url": f"{stand_in.url}/v1",
            "customer_api_url": stand_in.url,
            "pid": os.getpid(),
        }
        print(json.dumps(ready), flush=True)
        signal.sigwait(ends)
        stand_in.shutdown()


def _settings(options: argparse.Namespace) -> Settings:
    names = ("latency", "llm_latency", "failure_rate", "llm_failure_rate", "seed")
    return Settings().changed({name: getattr(options, name) for name in names})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.outside.stand_in", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--ledger", type=Path, required=True, help="folder for the ledger of calls")
    parser.add_argument("--port", type=int, default=0, help="0 selects a free port")
    parser.add_argument("--customers", type=Path, default=_CUSTOMERS, help="CSV with a column cliente_id")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds a customer lookup takes")
    parser.add_argument("--llm-latency", type=float, default=0.0, help="seconds a model call takes")
    parser.add_argument("--failure-rate", type=float, default=0.1, help="share of lookups that fail, 0 to 1")
    parser.add_argument("--llm-failure-rate", type=float, default=0.0, help="share of model calls that fail")
    parser.add_argument("--model", default=openai_wire.MODEL, help="name of the model in its replies")
    parser.add_argument("--seed", type=int, default=1, help="selects the calls that fail")
    return parser


def _read_customers(path: Path) -> Mapping[str, Mapping[str, object]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    # Orders have the customer id as a number, so the reply has it too.
    return {row["cliente_id"]: {**row, "cliente_id": int(row["cliente_id"])} for row in rows}


def _customer(customers: Mapping[str, Mapping[str, object]], cliente_id: str) -> Reply:
    row = customers.get(cliente_id)
    if row is None:
        return _problem(HTTPStatus.NOT_FOUND, "No such customer.")
    return Reply(status=HTTPStatus.OK, body=row)


def _overloaded(call: Call) -> Reply:
    if luck(_KIND_SEED, call) < 0.5:  # noqa: PLR2004 # both are equally likely
        message = "Rate limit reached for requests."
        return openai_wire.refused(429, message, "requests", "rate_limit_exceeded", retry_after=1)
    message = "The server is overloaded or not ready yet."
    return openai_wire.refused(503, message, "server_error", retry_after=1)


def _state(controls: Controls, query: Mapping[str, Sequence[str]]) -> Reply:
    held, seconds = query.get("held", ["0"])[0], query.get("seconds", ["0"])[0]
    return Reply(status=HTTPStatus.OK, body=controls.state(held=int(held), seconds=float(seconds)))


def _change(controls: Controls, raw: bytes) -> Reply:
    try:
        controls.change(dict(json.loads(raw)))
    except (BadSetting, TypeError, ValueError) as exc:
        return _problem(HTTPStatus.BAD_REQUEST, str(exc))
    return Reply(status=HTTPStatus.OK, body=controls.state())


def _not_found(path: str) -> Reply:
    return _problem(HTTPStatus.NOT_FOUND, f"No such path: {path}.")


def _problem(status: HTTPStatus, message: str) -> Reply:
    return Reply(status=status, body={"error": {"message": message, "code": status.name.lower()}})


if __name__ == "__main__":
    main()
