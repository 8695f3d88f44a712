"""Asks the questions of one meeting, so that each is paid once.

    one text       the job itself asks the model
    several texts  each is a job of its own, meetings.part, and so is the summary of their summaries:
                   a kept answer, a run of another worker, or a call in this thread

A job that fails, or whose worker is killed, goes on with the parts that are in their records. A part has
attempts and rests of its own, and the meeting adds none to them:

- A part that rests, or that another worker runs for long, puts the meeting back (``Postponed``). That uses no
  attempt. After the rest both are sent again. Whichever comes first runs the part: the meeting in its own
  thread, or the part's message. The other one finds it running, or done.
- A part whose attempts are spent ends the meeting too, at once and with the part's reason: the meeting is
  quarantined. A replay of the meeting is a new job, which asks for the missing part again.
- A part that cannot succeed ends the meeting in the same way.

The parts book what they cost. The meeting books nothing, and its answer shows what all of it cost to make.
"""

from __future__ import annotations

import time
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final, TypeVar, assert_never, cast

import orjson
from pydantic import BaseModel, ValidationError

from askonce.answer import Answer
from askonce.attempt import current_attempt
from askonce.bill import spend_of
from askonce.claim import Terms
from askonce.errors import (
    Cancelled,
    Configuration,
    JobFailed,
    PayloadInvalid,
    Permanent,
    Postponed,
    ResultTimeout,
    StoreUnavailable,
    Transient,
)
from askonce.fields import is_blank
from askonce.inline import Resting
from askonce.job import JobId
from askonce.key import identify
from askonce.spend import NOTHING, Spend, total
from tasks.meetings.parts import Reading, split
from tasks.meetings.prompts import MeetingSummary, QuestionKind, prompt_of
from tasks.providers.failures import as_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from askonce.answer import Result
    from askonce.attempt import Attempt
    from askonce.errors import CallFailed
    from askonce.job import Job, Key
    from tasks.resources import Resources

M = TypeVar("M", bound=BaseModel)

#: Seconds that a meeting holds its slot while a part rests, or while another worker runs it.
LONGEST_REST: Final = 5.0
LONGEST_WAIT: Final = 30.0
#: Seconds of rest where it is unknown for how long a part will be under way.
_LOOK_AGAIN: Final = 5.0
#: Seconds of rest between two attempts at a meeting that has more parts than fit into one.
_NEXT_PARTS: Final = 1.0
#: Seconds: the last part of an answer is this much older than the answer itself.
_MOMENT: Final = 0.005


def part(payload: Mapping[str, object], resources: Resources) -> Answer:
    """Return the answer to one question about one text; the body of ``meetings.part``.

    Raises:
        CallFailed: the text is blank, or the model did not answer.
    """
    kind, text = cast("QuestionKind", payload["operation"]), str(payload["text"])
    # Producers refuse it earlier. The model would invent an answer, and charge for it.
    if is_blank(text):
        raise Permanent("blank_text")
    prompt = prompt_of(kind)
    return resources.ask()(instructions=prompt.instructions, text=text, schema=prompt.schema)


class Questions:
    """The questions of one attempt at a meeting, and what they cost together."""

    def __init__(self, resources: Resources, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin the attempt."""
        self._resources, self._clock, self._began = resources, clock, clock()
        self._own: Answer | None = None
        #: What each part cost to make; what other jobs paid for it is not in ``caused``.
        self._made: dict[Key, Spend] = {}
        #: Whether this attempt brought the meeting on: else it would be put back for ever.
        self._has_called = False

    def read(self, transcript: str, kind: QuestionKind, schema: type[M]) -> list[Reading[M]]:
        """Return the reading of each part of *transcript*.

        Raises:
            CallFailed: there is nothing to read, or a part has no answer.
        """
        if is_blank(transcript):
            raise Permanent("no_transcript")
        # The model would invent an answer for a part of empty lines, and charge for it.
        texts = [text for text in split(transcript, self._resources.max_input_chars) if not is_blank(text)]
        ask = self._ask if len(texts) == 1 else self._call
        return [Reading(_typed(schema, ask(kind, text)), len(text)) for text in texts]

    def one_summary(self, summaries: Sequence[str]) -> str:
        """Return one summary of all of them; ask for it only where there is more than one.

        Raises:
            CallFailed: the model gave none.
        """
        left = list(summaries)
        while len(left) > 1:
            groups = split("\n".join(left), self._resources.max_input_chars)
            if len(groups) >= len(left):
                # Their number does not fall, so the loop would not end. Too long is better than cut.
                groups = ["\n".join(left)]
            asked = [self._call("summary", group) for group in groups if not is_blank(group)]
            left = [_typed(MeetingSummary, answer).summary for answer in asked]
        return left[0]

    def answer(self, value: BaseModel) -> Answer:
        """Return *value* with what all questions cost."""
        data = value.model_dump(mode="json")
        if self._own is not None:
            return replace(self._own, value=data)
        whole = self._cost()
        # The parts are jobs of their own, and book what they paid.
        return Answer(
            value=data,
            cost_usd=whole.cost_usd,
            usage=whole.usage,
            calls=whole.calls,
            paid=NOTHING,
            caused=whole.caused,
        )

    def _cost(self) -> Spend:
        # Two equal parts are one call: what it cost counts once.
        return total(self._made.values())

    def _ask(self, kind: QuestionKind, text: str) -> object:
        self._own = part({"operation": kind, "text": text}, self._resources)
        return self._own.value

    def _call(self, kind: QuestionKind, text: str) -> object:
        attempt = current_attempt()
        # Of a cancelled meeting the store ends the job, unless a caller has asked for it meanwhile.
        if attempt.is_cancelled() or (self._has_called and self._seconds_left() <= 0):
            raise self._put_back("more_parts", _NEXT_PARTS)
        job = self._identify(kind, text, attempt)
        try:
            result = self._call_part(job, attempt)
        except JobFailed as failed:
            self._count(attempt, job, failed.job, spend_of(failed))
            raise as_whole(_end_of(failed, attempt), self._cost(), paid=NOTHING) from None
        except Resting as resting:
            raise self._put_back("waiting_for_part", resting.after) from None
        except ResultTimeout:
            raise self._put_back("waiting_for_part", _LOOK_AGAIN) from None
        except StoreUnavailable:
            raise self._put_back("store_unavailable", _LOOK_AGAIN) from None
        self._has_called |= result.source != "cache"
        self._count(attempt, job, result.job, result.spend)
        return result.value

    def _count(self, attempt: Attempt, part: Job, made_as: str, spend: Spend) -> None:
        """Count once what *part* cost, which was made as the job *made_as*: by this meeting, or by others."""
        # A worker that had the part's own message called for the meeting whose request made that job.
        is_own = (spend.by or made_as) in (attempt.job, part.id)
        self._made.setdefault(part.key, spend if is_own else replace(spend, caused=NOTHING))

    def _put_back(self, reason: str, after: float) -> Postponed:
        """Return why the meeting waits, with what it cost so far: it may have waited for too long."""
        whole = self._cost()
        cost = {"usage": dict(whole.usage), "cost_usd": whole.cost_usd, "calls": whole.calls}
        return Postponed(reason, retry_after=after, **cost, paid=NOTHING, caused=whole.caused)

    def _identify(self, kind: QuestionKind, text: str, attempt: Attempt) -> Job:
        payload = {"operation": kind, "text": text}
        try:
            job = identify(self._resources.part, payload, attempt.tenant, run=attempt.run)
        except PayloadInvalid:
            raise as_whole(Permanent("too_large"), self._cost(), paid=NOTHING) from None
        # The same id in each attempt: the meeting finds again which parts are there because of it.
        return job.under(JobId(sha256(f"{attempt.job}:{job.key}".encode()).hexdigest()[:32]))

    def _call_part(self, job: Job, attempt: Attempt) -> Result:
        spec, resources = self._resources.part, self._resources
        # The body gets what its message would bring.
        payload = orjson.loads(job.payload)
        # A stale part would end the meeting as a fallback. Another attempt may make the whole anew.
        caller = replace(resources.caller, serve_stale=False)
        return caller.call(
            spec,
            job,
            lambda: part(payload, resources),
            timeout=min(LONGEST_WAIT, max(_NEXT_PARTS, self._seconds_left())),
            terms=Terms.of(spec, max_age=self._max_age(attempt)),
            longest_rest=LONGEST_REST,
        )

    def _max_age(self, attempt: Attempt) -> float | None:
        """Return the age up to which a kept part is used; None for any that is fresh.

        A meeting that has an answer runs because that is too old, or because a caller wants a new one. Parts
        that are older than that answer are not used again.
        """
        if attempt.stale is None:
            return None
        return max(0.0, attempt.stale.age + (self._clock() - self._began) - _MOMENT)

    def _seconds_left(self) -> float:
        return self._began + self._resources.slot_seconds - self._clock()


def _end_of(failed: JobFailed, attempt: Attempt) -> CallFailed:
    """Return the end of a meeting whose part has ended without an answer."""
    match failed.kind:
        case "permanent":
            return Permanent(failed.reason)
        case "configuration":
            return Configuration(failed.reason)
        case "cancelled":
            return Cancelled(failed.reason)
        case "transient" | "quarantined" | "expired":
            # The part's attempts are spent. More of the meeting's would only multiply them.
            return Transient(failed.reason, max_attempts=attempt.number)
    assert_never(failed.kind)


def _typed(schema: type[M], value: object) -> M:
    """Return the data as its type; an error would quote the data."""
    try:
        return schema.model_validate(value)
    except ValidationError:
        pass
    # Outside the handler: a chained error would hold the data.
    raise Transient("malformed_answer")
