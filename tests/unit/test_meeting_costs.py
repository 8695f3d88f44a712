"""What a meeting of several parts cost: all of them, also those that failed."""

from dataclasses import replace

import pytest

from askonce.answer import Answer
from askonce.errors import JobFailed, Permanent, Postponed, Transient
from askonce.execution import Delivery
from askonce.lost import Budget
from askonce.record import BUCKETS
from askonce.spec import RetryPolicy
from producer.run.report import Report, settle
from tasks.meetings import body as meetings
from tests.jobs import DELIVERED
from tests.unit.meeting_reader import LONG, REST, Model, Reader, analyzed

#: Shares its first part with the meeting.
OTHER = {"meeting_id": "other", "transcript": f"{LONG[:20]}Bob: and then it is."}


@pytest.fixture
def reader(scene):
    return Reader(scene, meetings.analyze)


def test_failed_meeting_costs_what_its_parts_cost_also_the_failed_one(reader, scene):
    asked = reader.ask()

    usage = {"input_tokens": 10, "output_tokens": 3}
    ended = reader.work(Model(analyzed(), Permanent("malformed_answer", usage=usage, cost_usd=0.25)))

    assert (ended.spend.cost_usd, ended.spend.usage) == (0.75, {"input_tokens": 20, "output_tokens": 6})
    with pytest.raises(JobFailed) as caught:
        asked.result(0)
    assert caught.value.cost_usd == 0.75
    totals = {(counter.task, counter.what): n for counter, n in scene.store.tally.totals().items()}
    assert totals["meetings.part", "micro_usd"] == 750_000
    assert ("meetings.analyze", "micro_usd") not in totals, "its parts paid"


def test_failed_meeting_costs_nothing_for_a_part_that_was_refused(reader):
    reader.ask()

    ended = reader.work(Model(analyzed(), Permanent("invalid_request")))

    assert (ended.spend.cost_usd, ended.spend.usage) == (0.5, {"input_tokens": 10, "output_tokens": 3})


def test_failed_meeting_has_no_known_cost_where_a_part_has_none(reader):
    reader.ask()

    ended = reader.work(Model(analyzed(), Permanent("malformed_answer", usage={}, cost_usd=None)))

    assert ended.spend.cost_usd is None


def test_answer_of_a_meeting_holds_its_parts_failed_attempts(reader, scene):
    reader.ask()
    failed = Transient("malformed_answer", usage={"input_tokens": 10, "output_tokens": 3}, cost_usd=0.25)
    reader.work(Model(analyzed(), failed))
    scene.clock.advance(REST)

    done = reader.work(Model(analyzed()))

    assert (done.result.cost_usd, done.result.usage["input_tokens"]) == (1.25, 30)


def paid_by_row(asked):
    """Return what the row that asked reports as its cost, its calls, and what it avoided."""
    report = Report(row=1, status="admitted", asked="admitted")
    settle(report, asked.result(0), asked.job)
    return report.cost_usd, report.calls, report.avoided_usd


def test_part_that_two_meetings_share_is_paid_by_the_one_that_called(reader, scene):
    first, second = reader.ask(), reader.ask(OTHER)
    reader.work(Model(analyzed(), analyzed()), number=0)
    reader.work(Model(analyzed()), OTHER)

    assert paid_by_row(first) == (1.0, 2, None)
    assert paid_by_row(second) == (0.5, 1, 0.5)
    counted = sum(n for counter, n in scene.store.tally.totals().items() if counter.what == "micro_usd")
    assert counted == 1_500_000
    assert scene.ask(OTHER).answer.cost_usd == 1.0, "what its answer cost to make"


def test_meeting_that_waited_pays_for_the_parts_of_its_earlier_attempts(reader, scene):
    asked = reader.ask()
    reader.work(Model(analyzed(), Transient("http_503")))
    scene.clock.advance(REST)
    reader.work(Model(analyzed()))

    assert paid_by_row(asked) == (1.0, 2, None)


def test_part_of_another_meeting_is_paid_by_the_one_that_calls_again(reader, scene):
    first, second = reader.ask(), reader.ask(OTHER)
    failed = Transient("malformed_answer", usage={"input_tokens": 10, "output_tokens": 3}, cost_usd=0.25)
    reader.work(Model(failed), number=0)
    scene.clock.advance(REST)
    reader.work(Model(analyzed(), analyzed()), OTHER)
    reader.work(Model(analyzed()), number=0)

    assert paid_by_row(second) == (1.25, 3, None)
    assert paid_by_row(first) == (0.5, 1, 0.75)


def test_part_that_a_worker_ran_by_itself_is_paid_by_the_meeting_that_waited(reader, scene):
    first, second = reader.ask(), reader.ask(OTHER)
    reader.work(Model(Postponed("rate_limited", retry_after=20.0)), number=0)
    scene.clock.advance(20)
    lost = [each.job for each in scene.store.reap(range(BUCKETS), DELIVERED, Budget())]
    [part] = [job for job in lost if job.task == "meetings.part"]
    paid = Answer(value=analyzed(), cost_usd=0.5, usage={"input_tokens": 10})
    scene.executor.execute(Delivery(spec=reader.part, job=part), lambda: paid)
    reader.work(Model(analyzed()), OTHER)
    reader.work(Model(analyzed()), number=0)

    assert paid_by_row(second) == (0.5, 1, 0.5)
    assert paid_by_row(first) == (1.0, 2, None)


def test_failed_meeting_pays_only_for_the_parts_that_it_called(reader):
    first, second = reader.ask(), reader.ask(OTHER)
    reader.work(Model(analyzed(), analyzed()), number=0)
    reader.work(Model(Permanent("malformed_answer", usage={}, cost_usd=0.25)), OTHER)

    report = Report(row=2, status="admitted", asked="admitted")
    with pytest.raises(JobFailed) as caught:
        second.result(0)
    settle(report, caught.value, second.job)

    assert paid_by_row(first) == (1.0, 2, None)
    assert (report.cost_usd, report.calls, report.avoided_usd) == (0.25, 1, 0.5)


def test_meeting_that_waited_for_too_long_says_what_its_parts_cost(reader, scene):
    reader.scene.use(scene.store, replace(reader.meeting, park_for=0.0, retry=RetryPolicy(max_attempts=1)))
    asked = reader.ask()

    ended = reader.work(Model(analyzed(), Postponed("rate_limited", retry_after=20.0)))

    assert (ended.kind, ended.spend.cost_usd, ended.job) == ("quarantined", 0.5, asked.job)
