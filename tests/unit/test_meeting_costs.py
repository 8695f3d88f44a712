"""What a meeting of several parts cost: all of them, also those that failed."""

import pytest

from askonce.errors import JobFailed, Permanent, Transient
from tasks.meetings import body as meetings
from tests.unit.meeting_reader import REST, Model, Reader, analyzed


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
