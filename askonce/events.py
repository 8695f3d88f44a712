"""What happens to jobs, told to whoever listens: logs, metrics, monitors.

Names are public API. An event never carries a payload or an answer.

=================  ===================================================================================
name               data beside task, key and job
=================  ===================================================================================
job.admitted       a message is sent
job.attached       an equal job is in flight; nothing is sent
job.hit            ``age_seconds``: a fresh answer was there
job.negative       ``kind``, ``reason``: a kept failure answered
job.backoff        ``wait_seconds``: the key rests after a failure
job.conflict       the key belongs to another payload
job.resent         ``resends``: nobody held the job, its message is sent again
job.send_failed    the broker did not take the message
job.completed      ``attempt``, ``run_seconds``, ``cost_usd``, ``source``
job.reused         the worker found the answer made already
job.skipped        ``outcome``: busy, superseded or backoff; the message had nothing to do
job.deferred       ``attempt``, ``reason``, ``after_seconds``, ``run_seconds``: will be tried again
job.failed         ``attempt``, ``kind``, ``reason``, ``run_seconds``: ended without an answer
                   both: ``usage``, ``cost_usd``, ``maybe_billed`` where the failed call was paid for
job.invalid        ``field``, ``reason``: a message from elsewhere has a payload that cannot be used
job.fenced         ``attempt``, ``run_seconds``: the answer came too late to be stored
job.unstored       ``attempt``: the answer could not be stored; it is kept in this process until it can
job.stored_late    ``outcome``, ``late_seconds``: what became of it when the store was back
job.unkept         ``reason``: it was never stored: no room, or the process ended before the store was back
job.degraded       ``policy``, ``source``: answered or sent without the store; see ``on_store_down``
message.undecodable  ``size``, ``queue``: a message that is no job is kept as a letter; so are the next five
message.unknown_task   ``size``: no task of this name here; a job of ours stays on its record instead
message.invalid_task   ``size``: its headers or its shape are not those of a task
message.invalid_payload  ``size``: its arguments are not those of the task; told beside job.invalid
message.identity_mismatch  its key is not that of its payload
message.garbage    ``size``: an item in the queue that is no message at all
message.other_version  ``version``: the job belongs to another version of the task; it is sent again later
message.unkept     ``reason``: the store did not take a letter; the message goes back to its queue
lease.lost         the lease of a running job is somebody else's
reaper.failed      ``reason``: a sweep did not succeed; the next one tries again
store.down         callers are kept off a store that did not answer three times
store.up           it answered again
=================  ===================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened to one job."""

    name: str
    task: str = ""
    key: str = ""
    job: str = ""
    data: Mapping[str, object] = field(default_factory=dict)


Listener = Callable[[Event], None]


def ignore(_event: Event) -> None:
    """Listen to nothing."""
