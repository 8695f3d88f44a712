"""One id leads from the line of a producer to that of the worker, and to the request at the service."""

import json

import pytest

pytestmark = pytest.mark.acceptance


def json_lines(text):
    """Return the log lines in *text*; a banner and a report are none."""
    found = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [line for line in found if "timestamp" in line]


@pytest.fixture
def new_worker(new_machine):
    """A machine whose processes log JSON, with a worker of its own."""

    def begin(pool):
        machine = new_machine(outside={"failure_rate": 0}, env={"LOG_FORMAT": "json"})
        machine.start_worker("-P", pool, "-c", "1")
        return machine

    return begin


@pytest.mark.parametrize("pool", ["threads", pytest.param("prefork", marks=pytest.mark.long)])
def test_job_is_one_line_that_its_producer_and_its_request_lead_to(
    new_worker, producer, rows_file, new_meeting, eventually, pool
):
    machine, meeting = new_worker(pool), new_meeting()

    told = producer(machine, "-v", "submit", "meetings.extract", rows_file(meeting), "--wait", "--json")
    log = machine.folder / "worker.log"
    eventually(lambda: '"job.done"' in log.read_text(), 30)
    machine.stop_workers()

    assert 0 == told.code, told.err
    [report] = [json.loads(line) for line in told.out.splitlines()]
    [asked] = [line for line in json_lines(told.err) if line["event"] == "job.admitted"]
    [done] = [line for line in json_lines(log.read_text()) if line["event"] == "job.done"]
    assert (asked["job"], asked["key"]) == (done["job"], done["key"]) == (report["job"], report["key"])
    assert ("done", "call", 1, meeting["meeting_id"]) == (
        done["outcome"],
        done["source"],
        done["attempts"],
        done["meeting_id"],
    )
    assert report["cost_usd"] == done["cost_usd"]
    assert sum(report["usage"][name] for name in ("input_tokens", "output_tokens")) == done["tokens"]
    assert 0 <= done["wait_seconds"] < 60
    assert done["request_ids"].startswith("req_")
    assert done["size"] > 0
    assert meeting["transcript"] not in log.read_text()


@pytest.mark.long
def test_every_line_of_worker_and_beat_is_json(new_machine):
    machine = new_machine(env={"LOG_FORMAT": "json"})
    machine.start_worker("-P", "threads", "-c", "1", "--loglevel", "DEBUG")
    machine.start_beat("--loglevel", "DEBUG")
    machine.stop_workers()

    for name in ("worker", "beat"):
        log = (machine.folder / f"{name}.log").read_text()
        # What comes before is the banner, which Celery prints.
        lines = log[log.index('{"timestamp"') :].splitlines()
        others = [line for line in lines if line and not line.startswith("{")]
        assert lines
        assert all("event" in line for line in json_lines(log))
        assert [] == [line for line in others if " INFO " in line or " WARNING " in line or "DEBUG" in line]
