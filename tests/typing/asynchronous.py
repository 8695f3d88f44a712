"""Uses what asynchronous callers use as a strict type checker sees it; checked by test_api.py, never run."""

from __future__ import annotations

from concurrent.futures import Future
from typing import assert_type

from askonce import Handle, JobSpec, Outcome, Producer, Result
from askonce.adapters.celery import IdempotentTask
from askonce.events import Event
from askonce.store import Store
from askonce.waiting import Waiting


async def enqueue(producer: Producer, task: IdempotentTask) -> Outcome:
    """Enqueue with options, which are checked too."""
    found = await producer.enqueue_async(JobSpec(), {"currency": "BRL"}, on_duplicate="reject", max_age=1.5)
    assert_type(found, Outcome)
    await task.enqueue_async({"currency": "BRL"}, tennant="t")  # type: ignore[call-arg]
    await task.enqueue_async({"currency": "BRL"}, on_duplicate="perhaps")  # type: ignore[arg-type]
    return await task.enqueue_async({"currency": "BRL"}, tenant="t", run="night")


async def answer(outcome: Outcome, handle: Handle) -> Result:
    """Wait for any outcome, or for a handle."""
    assert_type(await handle.aresult(1.0), Result)
    assert_type(await handle.aresult(timeout=1), Result)
    return await outcome.aresult(1.0)


def listen(event: Event) -> None:
    """Get the events of a waiting thread."""


def wait(store: Store, handle: Handle) -> Future[Result]:
    """Wait for many handles in one thread."""
    return assert_type(Waiting(store, listen).wait(handle, 1.0), Future[Result])
