"""Asks the app's routes where messages go. A route that is a function sees each way to call in one form.

That is ``args=()``, the payload's fields as ``kwargs``, and as ``options`` those of the task and those that
stand in the record, with ``tenant`` and ``run``.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import orjson
from celery.app.routes import MapRoute

from askonce.adapters.celery.header import HEADER, OWN, is_passed
from askonce.adapters.celery.ways import RECORDED
from askonce.errors import OptionInvalid, PayloadInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from celery import Celery

    from askonce.job import Job, Routing


class Routes:
    """The routes of one app."""

    def __init__(self, app: Celery) -> None:
        """Use *app*'s setting ``task_routes``."""
        self._app = app

    @cached_property
    def are_functions(self) -> bool:
        """Whether one of them may look at the call."""
        amqp: Any = self._app.amqp
        return not all(isinstance(route, MapRoute) for route in amqp.router.routes)

    def of_job(self, job: Job, row: Mapping[str, object] | None, passed: Mapping[str, Any] | None) -> Routing:
        """Return where the messages of *job* go; what its caller has chosen wins.

        *row* and *passed* are what its caller gave, where that is known.

        Raises:
            OptionInvalid: a route names an exchange.
        """
        fields = orjson.loads(job.payload) if row is None else dict(row)
        options = _passed_of(job.routing) if passed is None else passed
        publish = self.ask(job.task, fields, {**options, "tenant": job.tenant, "run": job.run})
        return job.routing._replace(
            queue=queue_of(publish), priority=publish.get("priority", job.routing.priority)
        )

    def of_message(self, task: Any, options: Mapping[str, Any]) -> OfMessage:
        """Return what ``send_task`` asks where a message of *task* with these *options* goes."""
        try:
            fields = task.bind_row(options.get("args") or (), options.get("kwargs") or {})
        except PayloadInvalid:
            # The worker refuses it, wherever it goes.
            fields = dict(options.get("kwargs") or {})
        headers = options.get("headers") or {}
        ours = headers.get(HEADER)
        own = {name: ours[name] for name in OWN & ours.keys()} if isinstance(ours, dict) else {}
        custom = {name: value for name, value in headers.items() if name != HEADER}
        return OfMessage(self, task.name, fields, {**own, **options, "headers": custom or None})

    def ask(self, task: str, fields: dict[str, Any], passed: Mapping[str, Any]) -> dict[str, Any]:
        """Return how to publish a message of *task* with these *fields* and options that its caller *passed*.

        Raises:
            OptionInvalid: a route names an exchange.
        """
        known: Any = self._app.tasks.get(task)
        of_task = known._get_exec_options() if known else {}  # noqa: SLF001  # as send_task
        chosen = {name: passed[name] for name in RECORDED & passed.keys() if is_passed(name, passed[name])}
        options = {name: value for name, value in {**of_task, **chosen}.items() if value is not None}
        options = {"tenant": "", "run": "", **options}
        amqp: Any = self._app.amqp
        publish: dict[str, Any] = amqp.router.route(options, task, (), fields, known)
        if "exchange" in publish or ("routing_key" in publish and "queue" not in publish):
            raise OptionInvalid(
                option="task_routes", reason="a job's messages go to a queue: return its name"
            )
        return publish


class OfMessage:
    """The routes of one app for one message, in the form of a router of Celery's."""

    def __init__(self, routes: Routes, task: str, fields: dict[str, Any], passed: Mapping[str, Any]) -> None:
        """Show the app's *routes* a call with these *fields*, for which its caller *passed* options."""
        self._routes, self._task, self._fields, self._passed = routes, task, fields, passed

    def route(self, options: dict[str, Any], *_: object) -> dict[str, Any]:
        """Return *options* with what the routes add; ``send_task`` publishes with these.

        Raises:
            OptionInvalid: a route names an exchange.
        """
        publish = self._routes.ask(self._task, self._fields, self._passed)
        added = {name: value for name, value in publish.items() if name not in RECORDED - {"priority"}}
        given = {name: value for name, value in options.items() if value is not None and name != "queue"}
        # It has become a queue of the app.
        return {**added, **given, **({"queue": publish["queue"]} if "queue" in publish else {})}


def _passed_of(routing: Routing) -> dict[str, Any]:
    """Return the options that made *routing*."""
    options = {name: value for name, value in routing._asdict().items() if value not in (None, "")}
    if routing.headers:
        options["headers"] = orjson.loads(routing.headers)
    return options


def queue_of(publish: Mapping[str, Any]) -> str:
    """Return the name of the queue among the options by which a message is published."""
    queue = publish.get("queue")
    return str(getattr(queue, "name", queue) or publish.get("routing_key") or "")
