"""When the second question about an answer that cannot be used is asked, and in which attempt."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from pydantic import BaseModel

from askonce.answer import Answer
from askonce.attempt import Attempt
from askonce.errors import CallFailed, Postponed, Transient
from askonce.execution import Computed, Deferred, Failed
from askonce.spend import NOTHING, Spend, spend_of_failure
from settings.environment import Settings
from tasks.providers.openai.model import LanguageModel
from tasks.providers.openai.twice import First, Note, ask_twice
from tasks.resources import Resources

USAGE = {"input_tokens": 10, "output_tokens": 2}
#: A first call that takes longer leaves the second to the next attempt.
SECONDS = 5.0


class Job:
    """The record of one job, and the limits with which its model was asked."""

    def __init__(self):
        self.sent, self.kept, self.spent = [], "", NOTHING

    def checkpoint(self, reference):
        self.kept = reference

    def note(self):
        fields = {"key": "k", "job": "j", "number": 1, "fence": 1, "stale": None}
        kept = {"reference": self.kept, "checkpoint": self.checkpoint, "spent": self.spent}
        return Note(Attempt(**fields, **kept), "q")


USABLE = Answer(value=1)


class Clock:
    """A clock that a call moves."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def asked(job, seconds, *, failure="malformed_answer", then=USABLE):
    """Ask with calls of so many *seconds*: the first answer cannot be used, and the second is *then*."""
    clock, ends = Clock(), [Transient(failure, usage=USAGE, cost_usd=1.0, maybe_billed=True), then]

    def send(limit):
        clock.now += seconds
        job.sent.append(limit)
        return b""

    def judge(_content):
        end = ends.pop(0)
        if isinstance(end, Exception):
            raise end
        return end

    return ask_twice(lambda limit: judge(send(limit)), note=job.note(), clock=clock)


def test_second_call_after_a_long_first_one_is_the_next_attempts():
    job, answer = Job(), Answer(value=1, cost_usd=0.5, usage=USAGE)
    with pytest.raises(Transient) as caught:
        asked(job, SECONDS + 1, failure="truncated")
    assert (job.sent, spend_of_failure(caught.value).spend.calls) == ([None], 1)
    job.spent = spend_of_failure(caught.value).spend

    again = ask_twice(lambda limit: job.sent.append(limit) or answer, note=job.note())

    assert (job.sent, again.cost_usd, again.paid.cost_usd) == ([None, 8192], 1.5, 0.5)


@pytest.mark.parametrize("wish", [None, 7.0])
def test_second_call_that_is_postponed_counts_as_an_attempt(wish):
    job = Job()

    with pytest.raises(CallFailed) as caught:
        asked(job, SECONDS - 1, then=Postponed("rate_limited", retry_after=wish))

    assert type(caught.value) is Transient
    assert (caught.value.reason, caught.value.retry_after) == ("rate_limited", wish)
    assert spend_of_failure(caught.value).spend == Spend(usage=USAGE, cost_usd=1.0, calls=1)


def test_second_call_of_a_later_attempt_may_be_postponed():
    job = Job()
    with pytest.raises(Transient):
        asked(job, SECONDS + 1)
    postponed = Postponed("rate_limited")

    def send(_limit):
        raise postponed

    with pytest.raises(Postponed) as caught:
        ask_twice(send, note=job.note())

    assert caught.value is postponed


def test_second_call_without_a_reply_leaves_one_in_doubt():
    job = Job()

    with pytest.raises(Transient) as caught:
        asked(job, 0, then=Transient("timeout", maybe_billed=True))

    spend = spend_of_failure(caught.value).spend
    assert (spend.calls, spend.in_doubt, spend.cost_usd) == (1, 1, 1.0)


class Verdict(BaseModel):
    word: str


class Replies(LanguageModel):
    """A model whose service gives prepared replies."""

    def __init__(self, *replies):
        super().__init__(Settings(_env_file=None, openai_base_url="http://127.0.0.1:1/v1"))
        self.replies = list(replies)

    def send(self, *_question, background=False, limit=None):
        reply = self.replies.pop(0) if self.replies else pytest.fail("one call too many")
        if isinstance(reply, CallFailed):
            raise reply
        return b'{"choices": [{"message": {"content": "%s"}}]}' % reply


WORSE = b"no json"
BUSY = Transient("overloaded")


def body_of(*replies):
    resources = SimpleNamespace(model=Replies(*replies), in_background=False)
    return lambda: Resources.ask(resources)(instructions="judge", text="t", schema=Verdict)


@pytest.mark.parametrize(
    ("last", "kind"), [(WORSE, Failed), (rb"{\"word\": \"fine\"}", Computed)], ids=["unusable", "usable"]
)
def test_record_of_a_job_keeps_the_first_answer_until_its_end(scene, last, kind):
    body = body_of(WORSE, BUSY, BUSY, last)
    scene.ask()

    ends = []
    for _ in range(3):
        ends.append(scene.work(body))
        scene.clock.advance(300)

    assert [type(end) for end in ends] == [Deferred, Deferred, kind]


def test_response_under_way_is_noted_for_either_question():
    job, first = Job(), First(limit=8192, spend=Spend(usage=USAGE, cost_usd=1.0))

    job.note().keep("resp_1")
    assert (job.kept, job.note().first, job.note().response) == ("resp_1", None, "resp_1")
    job.note().write(first)
    noted = First(limit=8192)
    assert (job.note().first, job.note().response) == (noted, "")
    job.note().keep("resp_2")
    assert (job.note().first, job.note().response) == (noted, "resp_2")
    job.note().keep("")
    assert (job.note().first, job.note().response) == (noted, "")


def test_response_that_is_noted_already_is_not_written_again():
    job = Job()
    job.note().keep("resp_1")
    job.checkpoint = lambda _reference: pytest.fail("written again")

    job.note().keep("resp_1")
