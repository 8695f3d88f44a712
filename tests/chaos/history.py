"""Searches each key's history for an order in which the record could have answered as it did.

Herlihy and Wing's linearizability, checked key by key, from return to return (Lowe 2017): all states that
explain what was heard so far are kept, and a reply that none of them can give is a violation. A verb whose
reply nobody got may have taken effect at any later time, once, or never.
"""

from typing import NamedTuple

from tests.chaos.model import steps
from tests.chaos.state import LASTING, NEVER, SLACK, UNRUN, Bounds, State

#: States and orders looked at for one reply before the checker gives up.
LIMIT = 20_000


class Op(NamedTuple):
    """One verb on one key, by the clock of this machine; seconds."""

    id: str
    verb: str
    args: dict
    invoked: float
    returned: float = NEVER
    outcome: str | None = None
    seen: dict | None = None

    def __str__(self):
        shown = {name: short(value) for name, value in self.args.items()}
        seen = {name: short(value) for name, value in (self.seen or {}).items() if value}
        end = f"{self.returned:9.3f}" if self.returned < NEVER else "        ?"
        return f"{self.invoked:9.3f} {end} {self.id:>12} {self.verb} {shown} -> {self.outcome} {seen}"


class Violation(NamedTuple):
    """The shortest prefix that no order explains; the last of *ops* is the reply that cannot be."""

    ops: list[Op]
    states: list[State]

    def __str__(self):
        told = [*map(str, self.ops), "no order explains the last reply; the record could have been:"]
        return "\n".join(told + [f"  {state}" for state in self.states[:6]])


class Undecided(Exception):
    """There were too many orders to look at."""


def short(value):
    return value[-8:] if isinstance(value, str) and len(value) > 12 else value


def check(ops, limit=LIMIT):
    """Return what cannot be explained, or None.

    Raises:
        Undecided: too many verbs were without a reply.
    """
    heard = [op for op in ops if op.outcome is not None]
    # Most histories are explained without the verbs that nobody heard of, which cost the most.
    if _search(heard, limit) is None:
        return None
    violation = _search(ops, limit)
    return violation and _shrink(violation, limit)


def _shrink(violation, limit):
    """Leave out who only looked, where the rest is impossible without them."""
    *before, last = violation.ops
    for op in [op for op in before if op.verb == "read"]:
        fewer = [other for other in before if other is not op]
        if _search([*fewer, last], limit) is not None:
            before = fewer
    return Violation([*before, last], violation.states)


def _search(ops, limit):
    events = sorted(
        [(op.invoked, 0, n) for n, op in enumerate(ops)]
        + [(op.returned, 1, n) for n, op in enumerate(ops) if op.returned < NEVER]
    )
    known, pending = {(frozenset(), State()): Bounds()}, {}
    for time, returns, n in events:
        if not returns:
            pending[n] = ops[n]
            continue
        explained = _explain(known, pending, n, time, limit)
        if not explained:
            prefix = [op for op in ops if op.invoked <= time]
            others = [op for op in _cut(prefix, time) if op.id != ops[n].id]
            return Violation([*others, ops[n]], sorted({state for _, state in known}))
        del pending[n]
        known = explained
    return None


def _cut(prefix, time):
    """What returned later is not known yet."""
    return [
        op if op.returned <= time else op._replace(returned=NEVER, outcome=None, seen=None) for op in prefix
    ]


def _explain(known, pending, wanted, latest, limit):
    """All that may be after *wanted* took effect, and some of the others before it."""
    explained, looked_at, to_do = {}, {}, list(known.items())
    while to_do:
        (done, state), bounds = to_do.pop()
        if wanted in done:
            _add(explained, (done - {wanted}, state), bounds)
            continue
        if len(looked_at) > limit:
            raise Undecided
        for n, op in pending.items():
            if n in done:
                continue
            for left, limits in _take(state, bounds, op, latest):
                configuration = done | {n}, left
                if _add(looked_at, configuration, limits):
                    to_do.append((configuration, looked_at[configuration]))
    return explained


def _take(state, bounds, op, latest):
    for step in steps(state, bounds, op, latest):
        if op.outcome is None:
            if (step.state, step.bounds[1:]) != (state, bounds[1:]):
                yield step.state, step.bounds
        elif step.outcome == op.outcome:
            left = _observe(step.state, op) if _shows_failure(step, op, latest) else None
            if left is not None:
                yield left, step.bounds


def _add(known, configuration, bounds):
    """Widen what is known by *bounds*; tell whether that was news."""
    before = known.get(configuration)
    after = bounds if before is None else before.merge(bounds)
    known[configuration] = after
    return after != before


def _observe(state, op):
    """What is left of *state* after what *op* was told of it; None where that cannot be."""
    seen = op.seen
    if seen is None or not seen["present"]:
        # A verb that discloses nothing says nothing; `read` says that there is no record.
        return None if op.verb == "read" and state.present else state
    if not state.present or (state.flight, state.job) != (seen["flight"], seen["job"]):
        return None
    if state.flight != "idle" and state.attempts != seen["attempts"]:
        return None
    if op.verb == "read" and (state.owner, state.fingerprint) != (seen["owner"], seen["fp"]):
        return None
    return _bind(state, seen)


def _shows_failure(step, op, latest):
    """Tell whether the failure that *op* showed, or none, can be the state's: waiters need it."""
    seen, state = op.seen or {}, step.state
    kind = "quarantined" if state.failure == "undeliverable" else state.failure
    if seen.get("failure"):
        return (seen["failure"], seen["failed_job"]) == (kind, state.failed_job)
    if "failure" not in seen or state.failure not in (*LASTING, *UNRUN):
        return True
    return state.failure in UNRUN and latest + SLACK >= step.bounds.ends[0]


def _bind(state, seen):
    told = seen["fence"]
    if state.fence != told and (state.fence >= 0 or told < -state.fence):
        return None
    value = told if state.value == state.fence else state.value
    if bool(value) != bool(seen["value"]) or (value > 0 and value != seen["value"]):
        return None
    return state._replace(fence=told, value=seen["value"])
