"""What must hold in every history, checked at the step that could break it.

I1    At most one owner holds a lease that lasts, and no other actor ends that lease.
I2    The answer that is shown is never followed by one of a lower fence.
I3    A write by another than the owner changes nothing.
I5    The calls are no more than the admissions and the counted faults: a worker that dies after its
      call or is stalled past its lease, a transient failure, a record that is lost.
I6    Only the job that is admitted in the record starts.
I8    The waiter can still be answered, whatever has gone wrong so far; ``explore`` checks it.
PAID  The answer of an owner that was not replaced is stored.
ONCE  A message that waits in its queue is not sent again, unless a process failed to count it.
PAUSE No job starts during a pause.
LAST  The call that is under way when its job is cancelled is the job's last, unless a caller asks for it.

I4 and I7 are about payloads and fallbacks, which the model does not have: tests of the code hold them.
"""


def after_start(before, after, job):
    after = _must(after, "I6", before.record is not None and before.record.job == job)
    after = _must(after, "PAUSE", not before.paused)
    after = _must(after, "LAST", job != before.cancelled)
    return one_lease(before, after)


def after_call(after):
    after = after._replace(allowed=after.allowed - 1)
    return _must(after, "I5", after.allowed >= 0)


def after_hand_out(before, after):
    """Check a resend. Copies that a broker or a caller made of a job without a message are not counted."""
    waits = before.record.out and before.record.job in before.queue and not before.uncounted
    return _must(after, "ONCE", not waits)


def after_write(before, after, worker):
    mine = before.record is not None and before.record.owner == worker.owner
    return _must(after, "I3", mine or after.record == before.record)


def after_complete(before, after, worker, outcome):
    after = after_write(before, after, worker)
    mine = before.record is not None and before.record.owner == worker.owner
    after = _must(after, "PAID", outcome == "ok" or not mine)
    answer = after.record.answer if after.record else None
    if answer is None:
        return after
    after = _must(after, "I2", answer.fence >= before.shown)
    return after._replace(shown=max(answer.fence, before.shown))


def one_lease(before, after):
    after = _must(after, "I1", sum(worker.live for worker in after.workers) <= 1)
    held = before.record
    lasts = held is not None and held.flight == "running" and not held.over
    # What is kept of a failure says what follows, and touches no lease.
    left = after.record and held and after.record._replace(failure=held.failure)
    return _must(after, "I1", not lasts or left == held)


def _must(world, invariant, holds):
    return world if holds else world._replace(broken=world.broken | {invariant})
