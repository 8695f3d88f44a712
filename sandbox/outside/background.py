"""Makes the responses that are asked for in the background, and keeps them for whoever comes for them.

    create ──> queued ──> in_progress ──> completed, failed ──> kept until the server ends
               (reply)    (held, latency)

A created response is one call of the ledger, ended when it is made; looking at it is none.
"""

import threading
from collections.abc import Callable
from http import HTTPStatus

from sandbox.outside.openai_wire import Body, Question, Reply, failed, refused, waiting


class Responses:
    """What was created in the background, by its id."""

    def __init__(self) -> None:
        self._bodies: dict[str, Body] = {}
        self._lock = threading.Lock()

    def create(self, question: Question, at: int) -> Body:
        """Keep a new response that is under way, asked for at *at* (unix seconds); how it looks as yet."""
        body = waiting(question, at)
        with self._lock:
            self._bodies[str(body["id"])] = body | {"status": "in_progress"}
        return body

    def make(self, body: Body, answer: Callable[[], Reply], ended: Callable[[Reply], None]) -> None:
        """Put what *answer* gives in the place of *body*, and call *ended* before anybody can see it."""
        reply = answer()
        ended(reply)
        own = {name: body[name] for name in ("id", "created_at", "background", "store")}
        with self._lock:
            made = reply.body if reply.status == HTTPStatus.OK else failed(body)
            self._bodies[str(body["id"])] = {**made, **own}

    def retrieve(self, asked: str) -> Reply:
        """Show a response as it is now."""
        with self._lock:
            body = self._bodies.get(asked)
        if body is None:
            return refused(404, f"Response with id '{asked}' not found.", "invalid_request_error")
        return Reply(status=HTTPStatus.OK, body=body)

    def forget(self) -> None:
        """Lose all, as a service does in the end with what it keeps."""
        with self._lock:
            self._bodies.clear()
