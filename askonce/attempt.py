"""Runs a task body: what it may know of its run, which error its mistakes become, and its answer as bytes."""

from __future__ import annotations

import re
import sysconfig
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple, get_args

from askonce.answer import SHORTEST_TTL, Answer, Encoded, Meta, Source, Ttl, decode
from askonce.errors import CallFailed, Permanent, Transient, ValueInvalid
from askonce.line import one_line
from askonce.spec import LONGEST, is_seconds
from askonce.spend import NOTHING, Costs, Spend, check, costs, spend_of_failure, total

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from decimal import Decimal

    from askonce.answer import Codec, Result
    from askonce.job import JobId, Key
    from askonce.spec import JobSpec

#: One step of a path that is shown: a name, then places in lists. Any other key may be data.
_STEP = re.compile(r"(?:[^\W\d]\w{0,39})?(?:\[\d+\])*")
#: Where Python keeps its libraries, and this package is.
_LIBRARIES = (
    *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
    "<frozen",
    str(PurePath(__file__).parent),
)
#: Characters of a path that are shown, of the reason of a fallback, and of a time to live that cannot be.
_PATH_SHOWN, _REASON_KEPT, _TTL_SHOWN = 120, 200, 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What a task body may know of its run; see ``current_attempt``."""

    key: Key
    job: JobId
    #: From 1.
    number: int
    #: Hand it to downstream stores: they refuse a lower one.
    fence: int
    #: The answer that is kept from before, fresh or stale.
    stale: Result | None
    #: What an earlier attempt of this job left with ``checkpoint``; kept until the job ends.
    reference: str
    #: Leave a short text for the next attempt; an empty one drops it. Advice: it may not arrive.
    checkpoint: Callable[[str], None]
    #: Whose job it is, and the batch that enqueued it: for calls that the body makes in its job's name.
    tenant: str = ""
    run: str = ""
    #: What the earlier attempts of this job cost; its ``cost_usd`` is None where one of them is unknown.
    spent: Spend = NOTHING
    #: The job in whose attempt this one runs, because that called inline; empty for a worker's own.
    called_by: str = ""
    #: Whether its job was cancelled, as the lease's last renewal told: then a body that calls more than once
    #: makes no other call. No round trip.
    is_cancelled: Callable[[], bool] = lambda: False
    #: A body adds what services call its requests: the line of the job has them, for a question to a service.
    request_ids: list[str] = field(default_factory=list)

    def not_modified(
        self,
        *,
        cost_usd: float | Decimal | None = None,
        usage: Mapping[str, int] | None = None,
        ttl: float | None = None,
    ) -> Answer:
        """Return the kept answer once more: the service says that it is still good.

        *cost_usd*, in US dollars, and *usage* are those of this question alone; *ttl* as in ``Answer``.

        Raises:
            LookupError: there is no kept answer; ask for it without a condition.
        """
        if self.stale is None:
            raise LookupError("there is no kept answer that could be unmodified")
        own = check(usage or {}, cost_usd).spend
        caused = total([self.spent, own])
        whole = total([self.stale.spend, caused])
        return Answer(
            self.stale.value,
            cost_usd=whole.cost_usd,
            usage=whole.usage,
            calls=whole.calls,
            ttl=ttl,
            paid=own,
            caused=caused,
        )

    @property
    def requests(self) -> str:
        """The same as one word."""
        return ",".join(self.request_ids)


_current: ContextVar[Attempt] = ContextVar("askonce_attempt")


def current_attempt() -> Attempt:
    """Return the attempt that this code runs in.

    Raises:
        LookupError: it does not run in a task body.
    """
    return _current.get()


@contextmanager
def inside(attempt: Attempt) -> Iterator[None]:
    """Let the code of the block run in *attempt*: for a body that is called before ``make``."""
    token = _current.set(attempt)
    try:
        yield
    finally:
        _current.reset(token)


def calling_job() -> str:
    """Return the job in whose attempt this code runs; empty where it runs in none."""
    outer = _current.get(None)
    return outer.job if outer else ""


class Made(NamedTuple):
    """A body's answer as every caller gets it, the same encoded, and the clock's time when it was made."""

    value: object
    source: Source
    encoded: Encoded
    made_at: float
    costs: Costs
    reason: str = ""
    #: As in ``Answer``; one that cannot be is None, and its text is in *refused_ttl*.
    ttl: float | None = None
    keep: bool = True
    refused_ttl: str = ""

    def lives(self, spec: JobSpec, shortened: float) -> Ttl:
        """Return how long it is fresh and kept; what is fresh is *shortened* by this part."""
        if not self.keep:
            return Ttl(SHORTEST_TTL, SHORTEST_TTL)
        fresh = spec.soft_ttl if self.ttl is None else self.ttl
        return Ttl(fresh * (1 - shortened), max(spec.hard_ttl, fresh))


class Unstorable(Permanent):
    """The call was paid, and its answer cannot be stored.

    ``field`` is the path of the part without a JSON form, and ``value_type`` its type; both empty where the
    answer is too large.
    """

    field: str
    value_type: str

    def __init__(self, invalid: ValueInvalid, costs: Costs) -> None:
        """Name the part that *invalid* names, never its content."""
        of, path = invalid.value_type, _shown(invalid.field)
        place = f"@{path or 'answer'}:{of}" if of else ":too_large"
        super().__init__(f"value_invalid{place}", field=path, value_type=of)
        self.costs = costs


def costs_of(error: CallFailed, attempt: Attempt) -> Costs:
    """Return what the job of *attempt*, which ended with *error*, cost, and what the attempt itself paid."""
    if isinstance(error, Unstorable):
        return error.costs
    found = costs(spend_of_failure(error), error.data.get("paid"), attempt.spent, error.data.get("caused"))
    return _by(attempt, found)


def _by(attempt: Attempt, found: Costs) -> Costs:
    """Return *found* with the job that called *attempt* inline: it caused what was paid."""
    return found._replace(made=replace(found.made, by=attempt.called_by)) if attempt.called_by else found


def make(
    body: Callable[[], object],
    attempt: Attempt,
    *,
    codec: Codec,
    max_bytes: int,
    clock: Callable[[], float],
) -> Made:
    """Call *body* as *attempt*, and encode its answer while the lease is still renewed.

    Raises:
        CallFailed: there is no answer, or it cannot be stored.
    """
    answer = run(body, attempt)
    made_at = clock()
    own = check(answer.usage, answer.cost_usd, calls=answer.calls)
    cost = _by(attempt, costs(own, answer.paid, attempt.spent, answer.caused))
    try:
        data = codec.encode(answer.value, max_bytes)
        # The first caller gets what all later ones get: a dataclass as its fields, a tuple as a list.
        value = decode(data)
    except ValueInvalid as invalid:
        # The same payload would give the same unusable answer again, and be paid for again.
        raise Unstorable(invalid, cost) from None
    except Exception:  # noqa: BLE001  # the answer's own code, or no memory: no answer that could be stored either
        refused = ValueInvalid(field="", value_type=type(answer.value).__name__)
        raise Unstorable(refused, cost) from None
    # A source of a newer version, or a mistake: never kept as fresh.
    source: Source = answer.source if answer.source in get_args(Source) else "default"
    # One that a mistake made of something else may quote the payload.
    reason = one_line(answer.reason)[:_REASON_KEPT] if isinstance(answer.reason, str) else ""
    meta = Meta(source=source, attempts=attempt.number, spend=cost.made, reason=reason)
    made = Made(value, source, Encoded(data, meta.encode(), cost.made.micro_usd), made_at, cost, reason)
    ttl, known = answer.ttl, answer.ttl is None or is_seconds(answer.ttl, LONGEST)
    # What is no number may quote the payload.
    shown = str(ttl)[:_TTL_SHOWN] if isinstance(ttl, int | float) else type(ttl).__name__
    return made._replace(
        ttl=ttl if known else None, keep=answer.keep is not False, refused_ttl="" if known else shown
    )


def _shown(path: str) -> str:
    steps = (step if _STEP.fullmatch(step) else "*" for step in path.split("."))
    return ".".join(steps)[:_PATH_SHOWN]


def run(body: Callable[[], object], attempt: Attempt) -> Answer:
    """Call *body* as *attempt*.

    Raises:
        CallFailed: the call failed, or the body raised another error.
    """
    try:
        with inside(attempt):
            value = body()
    except CallFailed:
        raise
    except Exception as exc:
        # A mistake in the body: only its name and place, because its text may quote the payload.
        raise Transient(f"{type(exc).__name__}@{place_of(exc)}", maybe_billed=True) from exc
    return value if isinstance(value, Answer) else Answer(value=value)


def place_of(exc: BaseException) -> str:
    """Return file and line of *exc*: the last one that is no library's, else the last one."""
    place, trace, is_own = "?", exc.__traceback__, False
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        own = not file.startswith(_LIBRARIES)
        if own or not is_own:
            place, is_own = f"{PurePath(file).name}:{trace.tb_lineno}", own
        trace = trace.tb_next
    return place
