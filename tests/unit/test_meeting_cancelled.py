"""What a long transcript still pays once its meeting is cancelled."""

import pytest

from askonce.errors import JobFailed, Postponed
from askonce.execution import Computed, Deferred
from askonce.key import identify
from tasks.meetings import body as meetings
from tests.unit.meeting_reader import LONG, Model, Reader, analyzed, extracted

ONE, TWO = LONG[:20], LONG[20:]


class Cancelling:
    """An operator who cancels the meeting that is under way, and the renewals of its lease."""

    def __init__(self, scene):
        self._scene = scene

    @property
    def _key(self):
        return self._scene.sender.sent[0].job.key

    def cancel(self):
        self._scene.store.cancel(self._key)

    def renew(self):
        leases = self._scene.leases
        [held] = [each for each in leases._held if each.lease.key == self._key]
        leases._settle(held, *self._scene.store.renew([held.lease]))

    def during(self, reply, *more):
        """Return *reply* to a call in which the meeting is cancelled and renewed, and *more* comes after."""

        def call():
            for each in (self.cancel, self.renew, *more):
                each()
            return reply

        return call


@pytest.fixture
def reader(scene):
    return Reader(scene, meetings.analyze)


@pytest.fixture
def operator(scene):
    return Cancelling(scene)


def booked(scene):
    """What the counters say that calls cost, by task."""
    totals = scene.store.tally.totals().items()
    return {(each.task, each.what): n for each, n in totals if each.what in ("calls", "micro_usd")}


def test_cancelled_meeting_begins_no_other_part_and_its_waiters_are_told(reader, operator):
    asked = reader.ask()
    model = Model(operator.during(analyzed()), analyzed())

    ended = reader.work(model)

    assert [ONE] == model.texts
    assert ("cancelled", 0) == (ended.kind, ended.attempts)
    with pytest.raises(JobFailed) as told:
        asked.result(0.0)
    assert ("cancelled", "cancelled") == (told.value.kind, told.value.reason)
    assert (0.5, 1) == (told.value.cost_usd, told.value.calls) == (ended.spend.cost_usd, ended.spend.calls)


def test_meeting_that_is_cancelled_at_rest_tells_what_its_parts_cost(reader, operator):
    reader.slot_seconds = 0.0
    asked = reader.ask()
    reader.work(Model(analyzed()))

    operator.cancel()

    with pytest.raises(JobFailed) as told:
        asked.result(0.0)
    assert ("cancelled", 0.5, 1) == (told.value.kind, told.value.cost_usd, told.value.calls)


def test_meeting_that_was_put_back_counts_each_part_once(reader, scene):
    reader.slot_seconds = 0.0
    reader.ask()
    model = Model(analyzed(), analyzed())
    reader.work(model)
    scene.clock.advance(1)

    done = reader.work(model)

    assert (1.0, 2) == (done.result.cost_usd, done.result.spend.calls)


def test_meeting_that_comes_to_fewer_parts_than_before_cost_no_less(reader, scene, operator):
    reader.slot_seconds = 0.0
    asked = reader.ask()
    reader.work(Model(analyzed()))
    scene.store.invalidate(identify(reader.part, {"operation": "analyze", "text": ONE}).key)
    scene.clock.advance(1)
    reader.work(Model(Postponed("rate_limited", retry_after=20.0)), number=0)

    operator.cancel()

    with pytest.raises(JobFailed) as told:
        asked.result(0.0)
    assert ("cancelled", 0.5, 1) == (told.value.kind, told.value.cost_usd, told.value.calls)


def test_cancelled_meeting_asks_for_no_joined_summary(scene, operator):
    reader = Reader(scene, meetings.extract)
    reader.ask()
    model = Model(extracted("a"), operator.during(extracted("b")), {"summary": "ab"})

    ended = reader.work(model)

    assert [ONE, TWO] == model.texts
    assert "cancelled" == ended.kind


def test_part_of_a_cancelled_meeting_is_kept_and_booked_once(reader, scene, operator):
    reader.ask()
    reader.work(Model(operator.during(analyzed())))
    assert {("meetings.part", "calls"): 1, ("meetings.part", "micro_usd"): 500_000} == booked(scene)

    model = Model(analyzed())
    answer = reader.whole(model)

    assert ([TWO], 1.0) == (model.texts, answer.cost_usd)
    assert {("meetings.part", "calls"): 2, ("meetings.part", "micro_usd"): 1_000_000} == booked(scene)


def test_meeting_that_a_caller_asks_for_after_the_cancel_goes_on(reader, operator):
    reader.ask()

    done = reader.work(Model(operator.during(analyzed(), reader.ask, operator.renew), analyzed()))

    assert isinstance(done, Computed)


def test_meeting_whose_lease_is_not_renewed_since_a_caller_asked_is_put_back_and_goes_on(
    reader, scene, operator
):
    reader.ask()
    model = Model(operator.during(analyzed(), reader.ask), analyzed())

    put_back = reader.work(model)
    scene.clock.advance(1)
    done = reader.work(model)

    assert (Deferred, "more_parts", 1.0) == (type(put_back), put_back.reason, put_back.after)
    assert (1, [ONE, TWO]) == (done.result.attempts, model.texts)


def test_caller_who_asks_once_a_cancelled_meeting_was_given_back_gets_a_new_job(reader, scene, operator):
    reader.ask()
    reader.work(Model(operator.during(analyzed())))

    reader.ask()

    first, second = scene.sender.sent
    assert first.job.id != second.job.id


def test_meeting_of_one_part_is_answered_although_it_is_cancelled(scene, operator):
    reader = Reader(scene, meetings.analyze, max_chars=60)
    reader.ask()

    assert isinstance(reader.work(Model(operator.during(analyzed()))), Computed)
