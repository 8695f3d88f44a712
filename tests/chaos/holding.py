"""``celery inspect held``: what a worker knows of the messages that it holds, from channel to pool."""

import gc

from celery.worker import state
from celery.worker.control import inspect_command
from kombu.transport.virtual import QoS


@inspect_command()
def held(control):
    """Return a line for each place that may hold a message; an idle worker has empty ones only."""
    consumer, found = control.consumer, gc.get_objects()
    current = consumer.task_consumer.channel
    return [
        *(_of_channel(each, current) for each in found if isinstance(each, QoS)),
        *(f"request {each.id}: {_of_request(each)}" for each in list(state.requests.values())),
        *(f"reserved {each.id}" for each in list(state.reserved_requests)),
        *(f"active {each.id}" for each in list(state.active_requests)),
        f"loop: {[repr(each) for each in list(consumer.hub._ready)]}",
        *_of_pool(consumer.pool, consumer.controller.semaphore),
    ]


def _of_channel(qos, current):
    where = "the consumer's" if qos.channel is current else "another"
    return (
        f"{where} channel, closed {qos.channel.closed}: delivered {list(qos._delivered)},"
        f" done {list(qos._dirty)}, takes more {qos.can_consume()}"
    )


def _of_request(request):
    return f"tag {request._message.delivery_tag}, done {request.acknowledged}, by {request.worker_pid}"


def _of_pool(pool, semaphore):
    executor, processes = getattr(pool, "executor", None), getattr(pool, "_pool", None)
    if semaphore is not None:
        yield f"slots {semaphore.value} of {semaphore.initial_value}, waiting {list(semaphore._waiting)}"
    if executor is not None:
        yield f"threads: {executor._work_queue.qsize()} wait"
    for job in list(getattr(processes, "_cache", {}).values()):
        told = ("correlation_id", "_accepted", "_write_to", "_scheduled_for", "_worker_pid", "_worker_lost")
        yield f"job {job}: { ({name: getattr(job, name) for name in told}) }"
    for name in ("outbound_buffer", "_active_writes", "_active_writers", "_busy_workers", "_all_inqueues"):
        yield f"{name}: {list(getattr(processes, name, ()))}"
