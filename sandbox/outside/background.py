"""Makes background responses, and keeps them until a client retrieves them.

    create ──> queued ──> in_progress ──> completed, failed ──> kept until the server ends
               (reply)    (held, latency)

Creating a response is one call in the ledger, which ends when the response is complete. Retrieving it is not
a call.
"""

import threading
from collections.abc import Callable
from http import HTTPStatus

from sandbox.outside.openai_wire import Body, Question, Reply, failed, refused, waiting


class Responses:
    """The background responses, by their id."""

    def __init__(self) -> None:
        self._bodies: dict[str, Body] = {}
        self._lock = threading.Lock()

    def create(self, question: Question, at: int) -> Body:
        """Keep a new response, requested at *at* (unix seconds); return its body in the state ``queued``."""
        body = waiting(question, at)
        with self._lock:
            self._bodies[str(body["id"])] = body | {"status": "in_progress"}
        return body

    def make(self, body: Body, answer: Callable[[], Reply], ended: Callable[[Reply], None]) -> None:
        """Replace *body* by the result of *answer*; call *ended* before a client can retrieve it."""
        reply = answer()
        ended(reply)
        own = {name: body[name] for name in ("id", "created_at", "background", "store")}
        with self._lock:
            made = reply.body if reply.status == HTTPStatus.OK else failed(body)
            self._bodies[str(body["id"])] = {**made, **own}

    def retrieve(self, response: str) -> Reply:
        """Return the current state of the response with the id *response*."""
        with self._lock:
            body = self._bodies.get(response)
        if body is None:
            return refused(404, f"Response with id '{response}' not found.", "invalid_request_error")
        return Reply(status=HTTPStatus.OK, body=body)

    def forget(self) -> None:
        """Delete every response, as a service does after some time."""
        with self._lock:
            self._bodies.clear()
