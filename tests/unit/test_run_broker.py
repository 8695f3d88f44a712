"""A run waits for its broker while it goes on, and not at its start."""

from dataclasses import replace

import pytest

from askonce.errors import SendFailed
from askonce.rows import Row
from producer.run import ask
from producer.run.limits import Stop
from tests.unit.starts import Start

ROW = {"currency": "BRL", "day": "2026-11-20"}


@pytest.fixture
def submit(scene):
    """Submit payloads, and return the reports in the order of the rows."""
    return Start(scene)


def test_broker_that_comes_back_in_time_is_waited_for_and_gets_each_message_once(scene, submit, monkeypatch):
    monkeypatch.setattr(ask, "REST", 0.001)
    run, troubles = submit.begin(patience=60.0, waits=True), []

    def come_back(trouble):
        troubles.append(trouble)
        scene.sender.refuses = len(troubles) < 3

    def work():
        scene.sender.refuses = not troubles
        submit.work(lambda: scene.answer)

    run.asker = replace(run.asker, on_trouble=come_back)
    run.on_jobs = work
    rows = [Row(number=n, payload={"currency": f"C{n}"}) for n in range(1, 502)]

    reached = []
    run.on_reached = lambda: reached.append(len(troubles))

    assert run.execute(rows) is None
    assert [0, 3] == sorted(set(reached))
    assert (["done"] * 501, 3) == ([r.status for r in submit.reports], len(troubles))
    assert len({message.job.key for message in scene.sender.sent}) == len(scene.sender.sent)


def test_broker_that_is_away_at_the_start_is_not_waited_for(scene, submit):
    scene.sender.refuses = True

    with pytest.raises(SendFailed):
        submit([ROW], patience=60.0)

    assert [r.status for r in submit.reports] == ["unavailable"]


def test_request_to_stop_ends_the_wait_for_a_broker(scene, submit, monkeypatch):
    monkeypatch.setattr(ask, "REST", 0.001)
    run = submit.begin(patience=60.0, waits=True, options={})
    run.asker.has_sent.set()
    scene.sender.refuses = True

    def interrupt(_trouble):
        run.stop = Stop("interrupted", 130)

    run.asker = replace(run.asker, on_trouble=interrupt, is_stopped=lambda: run.stop is not None)

    assert 130 == run.execute([Row(number=1, payload=ROW)]).exit_code
    assert [r.is_open for r in submit.reports] == [True]
