"""A web form on FastAPI that pays once under a double click.

In this folder, with fastapi and uvicorn installed and REDIS_URL set to the address of your server:

    celery -A own_celery_app worker -P threads -l INFO
    uvicorn fastapi_app:web
    curl localhost:8000/rates --json '{"currency": "BRL"}'
"""

from typing import Literal

import http_replies
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from own_celery_app import fetch, once

from askonce import Duplicate, Handle, JobError
from askonce.job import Key

#: Less than the patience of a browser, and of a proxy before this server.
SECONDS = 25.0

web = FastAPI()


@web.post("/rates")
async def quote(
    payload: dict[str, object], on_duplicate: Literal["attach", "reject"] = "attach"
) -> JSONResponse:
    """Fetch a rate; a second click gets the answer of the first one, or 409 where it asks for that."""
    outcome = await fetch.enqueue_async(payload, on_duplicate=on_duplicate)
    if isinstance(outcome, Duplicate):
        return JSONResponse(*http_replies.of_duplicate(outcome))
    # Waits without a thread of its own. The job goes on whatever becomes of this wait.
    return JSONResponse(*http_replies.of_answer(await outcome.aresult(SECONDS)))


@web.get("/rates/{key}")
async def answer(key: str) -> JSONResponse:
    """Look for the answer of an earlier request, perhaps of another process."""
    handle = Handle.from_key(once.process().store, Key(key), fetch.name)
    return JSONResponse(*http_replies.of_answer(await handle.aresult(timeout=0)))


@web.exception_handler(JobError)
async def on_job_error(_request: Request, error: JobError) -> JSONResponse:
    """Reply to every error of a job in one place."""
    return JSONResponse(*http_replies.of_error(error))
