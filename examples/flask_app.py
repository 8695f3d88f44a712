"""A web form on Flask that pays once under a double click.

In this folder, with flask installed and REDIS_URL set to the address of your server:

    celery -A own_celery_app worker -P threads -l INFO
    flask --app flask_app run
    curl localhost:5000/rates --json '{"currency": "BRL"}'
"""

import http_replies
from flask import Flask, request
from own_celery_app import fetch, once

from askonce import Duplicate, Handle, JobError
from askonce.job import Key

#: Less than the patience of a browser, and of a proxy before this server. A thread waits for so long.
SECONDS = 25.0

web = Flask(__name__)


@web.post("/rates")
def quote() -> http_replies.Reply:
    """Fetch a rate; a second click gets the answer of the first one, or 409 where it asks for that."""
    on_duplicate = request.args.get("on_duplicate", "attach")
    outcome = fetch.enqueue(request.get_json(), on_duplicate=on_duplicate)
    if isinstance(outcome, Duplicate):
        return http_replies.of_duplicate(outcome)
    return http_replies.of_answer(outcome.result(SECONDS))


@web.get("/rates/<key>")
def answer(key: str) -> http_replies.Reply:
    """Look for the answer of an earlier request, perhaps of another process."""
    handle = Handle.from_key(once.process().store, Key(key), fetch.name)
    return http_replies.of_answer(handle.result(timeout=0))


web.register_error_handler(JobError, http_replies.of_error)
