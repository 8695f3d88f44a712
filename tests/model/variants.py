"""Designs that look right and are not: each is what is built, with one rule replaced."""

from dataclasses import replace
from typing import NamedTuple

from tests.model import verbs
from tests.model.world import Budget, Rules

BUILT = Rules()


class Variant(NamedTuple):
    """A broken design, the invariant that it breaks, and luck bad enough to show it."""

    rules: Rules
    breaks: str
    budget: Budget


def _complete_for_any_owner(record, _owner):
    return ("ok", verbs.answered(record)) if record else ("absent", record)


def _complete_what_is_absent(record, owner):
    if record is None:
        return "ok", verbs.answered(verbs.Record(job=owner, owner=owner, fence=owner))
    return verbs.complete(record, owner)


def _fail_for_any_owner(record, limits, _owner, kind, **terms):
    if record is None or record.flight != "running":
        return "fenced", record
    return verbs.fail(record, limits, record.owner, kind, **terms)


def _start_any(record, limits, job, owner, moment, **known):
    if record and record.flight != "running" and not record.fresh:
        return verbs.grant(record, limits, owner, moment)
    return verbs.start(record, limits, job, owner, moment, **known)


def _start_any_but_the_last(record, limits, job, owner, moment, **known):
    if record is None or record.job == job or record.fresh:
        return verbs.start(record, limits, job, owner, moment, **known)
    if record.flight == "running" and not record.over:
        return "busy", record
    return verbs.grant(record, limits, owner, moment)


def _start_late_copies(record, limits, job, owner, moment, *, paused, **_known):
    return verbs.start(record, limits, job, owner, moment, paused=paused)


def _start_paused_jobs(record, limits, job, owner, moment, *, late, **_known):
    return verbs.start(record, limits, job, owner, moment, late=late)


def _reap_nothing(record, _limits, **_known):
    return 0, record


def _cancel_running(record):
    return verbs.cancel(record and record._replace(flight="queued"))


def _forgets_the_cancel(verb):
    def rule(record, *args, **known):
        if record and record.flight == "running" and record.cancelled:
            record = record._replace(failure=None)
        return verb(record, *args, **known)

    return rule


def _is_always_delivered(_world):
    return True


def _is_never_delivered(_world):
    return False


_ONE_STALLS = Budget(callers=1, crashes=1, stalls=1, copies=1)
_REFRESHED_TWICE = Budget(callers=3, ages=2, copies=2)

VARIANTS = {
    "the answer of any owner is stored": Variant(
        replace(BUILT, complete=_complete_for_any_owner), "I2", Budget(callers=2, record_losses=1, stalls=1)
    ),
    "a failure ends the lease of any owner": Variant(
        replace(BUILT, fail=_fail_for_any_owner), "I3", Budget(callers=1, stalls=1, failures=1)
    ),
    "a lease that ran out is read, then overwritten": Variant(
        replace(BUILT, looks_first=True), "I1", _ONE_STALLS
    ),
    "no reaper looks for lost jobs": Variant(replace(BUILT, reap=_reap_nothing), "I8", Budget(crashes=1)),
    "a message has no deadline": Variant(replace(BUILT, queue_deadline=False), "I8", Budget(losses=1)),
    "any message may start": Variant(replace(BUILT, start=_start_any), "I5", _REFRESHED_TWICE),
    "any message may start but the last job's": Variant(
        replace(BUILT, start=_start_any_but_the_last), "I5", _REFRESHED_TWICE
    ),
    "a late copy starts anew": Variant(
        replace(BUILT, start=_start_late_copies), "I5", Budget(ages=1, expiries=1, copies=1)
    ),
    "a paused job starts": Variant(replace(BUILT, start=_start_paused_jobs), "PAUSE", Budget(pauses=1)),
    "cancel ends a running call": Variant(replace(BUILT, cancel=_cancel_running), "I1", Budget(cancels=1)),
    "a cancelled call that fails is made again": Variant(
        replace(BUILT, fail=_forgets_the_cancel(verbs.fail)), "LAST", Budget(cancels=1, failures=1)
    ),
    "a cancelled call that is given back is made later": Variant(
        replace(BUILT, park=_forgets_the_cancel(verbs.park)), "LAST", Budget(cancels=1, parks=1)
    ),
    "a cancelled call of a dead worker is made again": Variant(
        replace(BUILT, reap=_forgets_the_cancel(verbs.reap)), "LAST", Budget(cancels=1, crashes=1)
    ),
    "a second worker makes a cancelled call again": Variant(
        replace(BUILT, start=_forgets_the_cancel(verbs.start)),
        "LAST",
        Budget(cancels=1, crashes=1, copies=1),
    ),
    "the reaper ignores progress": Variant(
        replace(BUILT, delivered=_is_always_delivered), "ONCE", Budget(delays=1)
    ),
    "no queue reports what it delivered": Variant(
        replace(BUILT, delivered=_is_never_delivered), "I8", Budget(losses=1)
    ),
    "a late answer is stored where the record is gone": Variant(
        replace(BUILT, complete=_complete_what_is_absent), "I2", Budget(callers=2, record_losses=1, stalls=1)
    ),
}
