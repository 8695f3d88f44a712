"""Pays for an answer that cannot be used at most twice: the one rule about asking the model again.

    send ──> judge ──> Answer
               └─ unusable ──> send, with a higher limit where the answer was cut ──> judge ──> Answer
                                                                                        └─ unusable: Permanent

The same question may get a usable answer the next time, so the model is asked once more. A third time is not
worth its price: the job then ends for good, under the reason of the second answer.

What comes between the two, a killed worker or a service that is busy, must not begin the count anew. So the
job keeps a note of its first answer (``Note``), and its next attempt asks the second time only.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final, cast

from askonce.answer import Answer
from askonce.errors import CallFailed, Permanent, Postponed
from askonce.spend import NOTHING, Spend, check, spend_of_failure, total
from tasks.providers.failures import as_whole, with_spending

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from askonce.attempt import Attempt

#: What another answer of the model may mend; the first words of a reason, before its path.
_UNUSABLE: Final = frozenset({"malformed_answer", "answer_does_not_fit", "truncated", "empty_answer"})
#: How services refuse a limit that is higher than their model's own, or does not fit beside the text into its
#: context: the text itself had fitted.
_NO_SUCH_LIMIT: Final = frozenset({"invalid_request", "context_length_exceeded"})
#: Output tokens of a second answer at least. A server's own limit may be a few hundred, and twice of that
#: would be cut again: the answer to a full transcript has about 2,000 tokens, and a model that reasons first
#: needs twice as many.
_ROOM: Final = 2 * 4096
#: Seconds. The limits of an attempt leave so much room beyond one call: ``celeryconfig.py``. Where the first
#: call took longer, the second is the next attempt's.
_AT_ONCE_WITHIN: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    """The first answer to a question: it could not be used."""

    #: The most output tokens that the second answer may have; None for the service's own limit.
    limit: int | None
    #: What it cost, where this attempt asked for it; of an earlier one the record knows.
    spend: Spend = NOTHING


class Note:
    """What one attempt of a job leaves for the next: its first answer, and a response under way.

    A service that makes responses in the background gives each an id. The attempt that reads the response
    pays for it: those that only waited for it paid nothing. So the note has what the job had cost before.
    """

    def __init__(self, attempt: Attempt, *question: str) -> None:
        """Read and write the notes of *attempt*'s job about this *question*."""
        self._attempt, self._question = attempt, question
        self._kept = attempt.reference
        #: What an earlier attempt noted of the first answer, and the response that it waited for, if any.
        self.first, self.response, self._before = self._read()
        #: What the job cost before the calls of this attempt.
        self.earlier = attempt.spent
        #: Whether this attempt has read a response that an earlier one asked for.
        self.goes_on = False

    def go_on(self) -> None:
        """Count the noted response as a call of this attempt, and no attempt that waited for it."""
        self.earlier, self.goes_on = self._before, True

    def write(self, first: First) -> None:
        """Note the first answer; as every checkpoint, a note may not arrive."""
        self.first = first
        self.keep("")

    def keep(self, response: str) -> None:
        """Note the *response* that is under way; an empty one is none."""
        self.response = response
        text = self._text()
        if text != self._kept:
            self._attempt.checkpoint(text)
            self._kept = text

    def _read(self) -> tuple[First | None, str, Spend]:
        try:
            found = cast("object", json.loads(self._kept))
        except (ValueError, RecursionError):
            return None, self._kept, NOTHING
        match found:
            case {"unusable": digest, "limit": int() | None as limit, "response": str(response), **had} if (
                digest == self._digest()
            ):
                return First(limit=limit), response, _spend_of(had)
            case {"unusable": _}:
                return None, "", NOTHING
            case {"response": str(response), **had}:
                return None, response, _spend_of(had)
        return None, self._kept, NOTHING

    def _text(self) -> str:
        before, noted = self.earlier, dict[str, object](response=self.response)
        if self.first is not None:
            before = total([before, self.first.spend])
            noted |= {"unusable": self._digest(), "limit": self.first.limit}
        if self.response and before != NOTHING:
            noted |= {"calls": before.calls, "usage": dict(before.usage), "cost_usd": before.cost_usd}
        # The first response of a job is the whole note.
        return json.dumps(noted) if len(noted) > 1 else self.response

    def _digest(self) -> str:
        return sha256(json.dumps(self._question).encode()).hexdigest()[:16]


def _spend_of(noted: Mapping[object, object]) -> Spend:
    if "usage" not in noted:
        return NOTHING
    # An older version noted one call.
    return check(noted["usage"], noted.get("cost_usd"), calls=noted.get("calls", 1)).spend


def is_unusable(failure: CallFailed) -> bool:
    """Return whether the model gave an answer, and another one may be usable."""
    return failure.reason.partition("@")[0] in _UNUSABLE


def ask_twice(
    ask: Callable[[int | None], Answer],
    *,
    note: Note | None = None,
    most: int | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Answer:
    """Return what *ask* returns for a limit of output tokens, the first time or the second.

    An answer that was cut at the *most* tokens of any answer is the last: the second would be cut there too.

    Raises:
        CallFailed: with usage and cost of the calls that this attempt made. ``Permanent`` where the second
            answer cannot be used either.
    """
    found = _tried(lambda: _in_this_attempt(ask, note, most, clock))
    if note is not None:
        found = _of_all_attempts(found, note)
    if isinstance(found, CallFailed):
        raise found
    return found


def _of_all_attempts(found: Answer | CallFailed, note: Note) -> Answer | CallFailed:
    """Return *found* with what all attempts cost, where the record cannot know that."""
    if isinstance(found, Postponed):
        # Refused before this attempt paid: the job waits, and its record knows what it cost so far.
        return found
    if isinstance(found, CallFailed):
        own = spend_of_failure(found).spend
        return as_whole(found, total([note.earlier, own]), paid=own) if note.goes_on else found
    if found.paid is None and not note.goes_on:
        return found
    own = found.paid or check(found.usage, found.cost_usd).spend
    whole = total([note.earlier, own])
    return replace(found, usage=whole.usage, cost_usd=whole.cost_usd, calls=whole.calls, paid=own)


def _in_this_attempt(
    ask: Callable[[int | None], Answer], note: Note | None, most: int | None, clock: Callable[[], float]
) -> Answer:
    """Return the answer with what this attempt's own calls cost; raises as ``ask_twice``."""
    began, noted = clock(), note.first if note else None
    if noted is not None:
        return _second(ask, noted)
    found = _tried(lambda: ask(None))
    if isinstance(found, Answer):
        return found
    if not is_unusable(found):
        raise found
    if _is_cut_at(most, found):
        raise Permanent(found.reason, usage=found.data["usage"], cost_usd=found.data["cost_usd"])
    first = First(limit=_higher_limit(found), spend=spend_of_failure(found).spend)
    if note is not None:
        note.write(first)
        if clock() - began > _AT_ONCE_WITHIN:
            raise found
    return _second(ask, first)


def _second(ask: Callable[[int | None], Answer], first: First) -> Answer:
    found = _tried(lambda: ask(first.limit))
    if isinstance(found, CallFailed):
        raise _end(found, first)
    both = total([first.spend, check(found.usage, found.cost_usd).spend])
    return replace(found, usage=both.usage, cost_usd=both.cost_usd, calls=both.calls, paid=both)


def _tried(ask: Callable[[], Answer]) -> Answer | CallFailed:
    # Returned, not raised: an error that is raised in a handler would hold the first one.
    try:
        return ask()
    except CallFailed as failure:
        return failure


def _higher_limit(failure: CallFailed) -> int | None:
    """Return the limit of the next answer: twice what the cut one had, None for one that was not cut."""
    if failure.reason != "truncated":
        return None
    return max(2 * _written(failure), _ROOM)


def _is_cut_at(most: int | None, failure: CallFailed) -> bool:
    return most is not None and failure.reason == "truncated" and _written(failure) >= most


def _written(failure: CallFailed) -> int:
    return spend_of_failure(failure).spend.usage.get("output_tokens", 0)


def _end(failure: CallFailed, first: First) -> CallFailed:
    """Return the failure of the second question, with what this attempt has paid."""
    own = spend_of_failure(failure).spend
    if is_unusable(failure):
        failure = Permanent(failure.reason, usage=own.usage, cost_usd=own.cost_usd)
    elif first.limit is not None and failure.reason in _NO_SUCH_LIMIT:
        failure = Permanent("truncated")
    if first.spend == NOTHING:
        return failure
    paid = total([first.spend, own] if own.calls else [first.spend])
    return with_spending(
        failure, usage=paid.usage, cost_usd=paid.cost_usd, calls=paid.calls, in_doubt=own.in_doubt
    )
