"""Serves the requests of one connection, and records each call in the ledger."""

import json
import threading
import time
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from sandbox.outside import openai_wire, ways
from sandbox.outside.controls import BadSetting, Controls
from sandbox.outside.customers import Customers, found, problem
from sandbox.outside.ledger import Call, LedgerWriter, content_of
from sandbox.outside.limits import ClientLeft
from sandbox.outside.model import Asked, Model
from sandbox.outside.openai_wire import BadRequest, Reply
from sandbox.outside.sending import Line, bytes_of

_CLIENT_LEFT = 499  # the number that nginx gives it
_NO_API = """<!DOCTYPE html>
<html><head><title>404 Not Found</title></head>
<body><center><h1>404 Not Found</h1></center><hr></body></html>
"""


class Services(Protocol):
    """What the server has for its handlers."""

    controls: Controls
    customers: Customers
    customer_calls: LedgerWriter
    lookup_calls: LedgerWriter
    model: Model
    model_calls: LedgerWriter

    def state(self, *, held: int = 0, seconds: float = 0.0) -> dict[str, object]:
        """Return the settings and what goes on."""

    def change(self, wanted: Mapping[str, object]) -> None:
        """Change settings."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Services  # type: ignore[assignment]  # narrower than the parent's

    def setup(self) -> None:
        """Prepare for the requests of this connection."""
        super().setup()
        self._line = Line(self.connection)

    def do_GET(self) -> None:
        """Serve one GET."""
        address = urlsplit(self.path)
        match address.path.split("/")[1:]:
            case ["healthz"]:
                self._send(Reply(status=HTTPStatus.OK, body={"status": "ok"}))
            case ["control"]:
                query = parse_qs(address.query)
                held, seconds = query.get("held", ["0"])[0], query.get("seconds", ["0"])[0]
                state = self.server.state(held=int(held), seconds=float(seconds))
                self._send(Reply(status=HTTPStatus.OK, body=state))
            case ["customers", customer] if customer:
                self._look_up(unquote(customer))
            case ["lookups", kind, name] if kind and name:
                self._look_up_any(unquote(kind), unquote(name))
            case ["v1", *rest]:
                self._look(rest)
            case _:
                self._send(_not_found(self.path))

    def do_POST(self) -> None:
        """Serve one POST."""
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        match self.path.split("/")[1:]:
            case _ if self.path in (openai_wire.RESPONSES_PATH, openai_wire.CHAT_PATH):
                self._call_model(raw)
            case ["control"]:
                self._send(self._change(raw))
            case ["v1", *rest]:
                self._look(rest)
            case _:
                self._send(_not_found(self.path))

    def _look_up(self, cliente_id: str) -> None:
        call = self.server.customer_calls.begun(content_of(cliente_id))
        if self.server.controls.let_through(call):
            reply = self.server.customers.look_up(cliente_id)
        else:
            reply = problem(HTTPStatus.SERVICE_UNAVAILABLE, "The customer service is overloaded.")
        self._finish(self.server.customer_calls, call, reply)

    def _look_up_any(self, kind: str, name: str) -> None:
        call = self.server.lookup_calls.begun(content_of(f"{kind}/{name}"))
        if self.server.controls.let_through(call):
            reply = found(kind, name)
        else:
            reply = problem(HTTPStatus.SERVICE_UNAVAILABLE, "The lookup service is overloaded.")
        self._finish(self.server.lookup_calls, call, reply)

    def _change(self, raw: bytes) -> Reply:
        try:
            self.server.change(dict(json.loads(raw)))
        except (BadSetting, TypeError, ValueError) as exc:
            return problem(HTTPStatus.BAD_REQUEST, str(exc))
        return Reply(status=HTTPStatus.OK, body=self.server.state())

    def _look(self, path: list[str]) -> None:
        model = self.server.model
        reply = model.look(self.headers.get("Authorization"), self.command, list(map(unquote, path)))
        if reply.way:
            self._misbehave(reply)
        else:
            self._send(model.dressed(reply))

    def _call_model(self, raw: bytes) -> None:
        calls, model, key = self.server.model_calls, self.server.model, self.headers.get("Authorization")
        try:
            question = openai_wire.question_in(self.path, raw)
        except BadRequest as exc:
            call = calls.begun(content_of(raw.decode(errors="replace")))
            wrong = openai_wire.refused(HTTPStatus.BAD_REQUEST, str(exc), "invalid_request_error")
            self._finish(calls, call, model.dressed(model.refusal(key) or wrong))
            return
        call = calls.begun(question.content)
        asked = model.ask(key, self.path, question)
        if asked.is_made_later:
            self._create(asked, call)
            return
        try:
            reply = model.answer(asked, call, self._line.has_left)
        except ClientLeft:
            calls.ended(call, status=_CLIENT_LEFT, delivered=False)
            self.close_connection = True
        else:
            self._finish(calls, call, model.dressed(reply, asked))

    def _create(self, asked: Asked, call: Call) -> None:
        """Reply at once and answer later. A client that misses the reply has no id to retrieve the answer."""
        model, responses = self.server.model, self.server.model.responses
        body = responses.create(asked.question, int(time.time()))
        reply = bytes_of(model.dressed(Reply(status=HTTPStatus.OK, body=body), asked))
        delivered = self._line.arrives(reply[:-1])

        def ended(made: Reply) -> None:
            _end(self.server.model_calls, call, made, delivered=delivered)

        making = (body, lambda: model.answer(asked, call), ended)
        threading.Thread(target=responses.make, args=making, name="response", daemon=True).start()
        self._release(reply, delivered=delivered)

    def _finish(self, calls: LedgerWriter, call: Call, reply: Reply) -> None:
        """Send the reply, and record in the ledger whether the client received it.

        client   ├─ has all but one byte ───────────────┤ has the reply
        server   sends ── checks the socket ── "ended" ── last byte

        So a client with a complete reply always finds it in the ledger. A client that ends between the check
        and the last byte is recorded as delivered; a server cannot know this.
        """
        if reply.way in ways.SHORT:
            _end(calls, call, reply, delivered=False)
            self._misbehave(reply)
        elif reply.way:
            self._misbehave(reply)
            _end(calls, call, reply, delivered=False)
        else:
            answer = bytes_of(reply)
            delivered = self._line.arrives(answer[:-1])
            _end(calls, call, reply, delivered=delivered)
            self._release(answer, delivered=delivered)

    def _misbehave(self, reply: Reply) -> None:
        self.close_connection = True
        ways.WAYS[reply.way](self._line, reply)

    def _release(self, answer: bytes, *, delivered: bool) -> None:
        """Send the last byte, which `arrives` left out."""
        if delivered:
            self.wfile.write(answer[-1:])
        else:
            self.close_connection = True

    def _send(self, reply: Reply) -> None:
        self.wfile.write(bytes_of(reply))


def _end(calls: LedgerWriter, call: Call, reply: Reply, *, delivered: bool) -> None:
    calls.ended(
        call,
        status=reply.status,
        delivered=delivered,
        input_tokens=reply.input_tokens,
        output_tokens=reply.output_tokens,
    )


def _not_found(path: str) -> Reply:
    if path.startswith(("/customers", "/lookups")):
        return problem(HTTPStatus.NOT_FOUND, f"No such path: {path}.")
    # What the web server of a wrong address says.
    headers = {"Content-Type": "text/html; charset=utf-8"}
    return Reply(status=HTTPStatus.NOT_FOUND, headers=headers, content=_NO_API.encode())
