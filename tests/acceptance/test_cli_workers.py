import json
import re

import pytest

from settings.environment import Settings

pytestmark = [pytest.mark.acceptance, pytest.mark.long]

TODAY, TOMORROW = Settings.model_fields["openai_model"].default, "model-of-tomorrow"


def warnings(told):
    return [line for line in told.complaints if line.startswith("warning: ")]


def doctor(producer, machine, **environment):
    """Return the doctor's exit code, and what it finds of the workers."""
    told = producer(machine, "doctor", "--json", **environment)
    return told.code, [found for found in told.reports if found["subject"] == "workers"]


def named(found):
    code, findings = found
    return code, [each["name"] for each in findings]


def test_submit_warns_once_when_no_worker_takes_the_queue(idle_machine, submit, new_order, no_worker):
    told = submit(idle_machine, "orders.enrich", [new_order() for _ in range(3)])

    assert (0, [f"warning: workers: {no_worker}; start one"]) == (told.code, warnings(told))
    assert ["admitted"] * 3 == [report["status"] for report in told.reports]


def test_submit_that_waits_warns_before_it_waits(idle_machine, submit, new_order, no_worker):
    told = submit(idle_machine, "orders.enrich", [new_order()], "--wait", "--timeout", "0.1")

    assert 75 == told.code
    assert f"warning: workers: {no_worker}; start one" == told.complaints[0]


def test_submit_does_not_warn_while_a_worker_takes_the_queue(machine, submit, new_order):
    told = submit(machine, "orders.enrich", [new_order()], "--wait")

    assert (0, []) == (told.code, warnings(told))


def test_submit_does_not_warn_without_a_job(idle_machine, submit):
    told = submit(idle_machine, "orders.enrich", [{"cliente_id": 1}])

    assert (1, []) == (told.code, warnings(told))


def test_submit_names_the_models_when_workers_have_another(machine, store, submit, new_meeting):
    told = submit(machine, "meetings.extract", [new_meeting()], OPENAI_MODEL=TOMORROW)
    # No worker would ever run it.
    store.invalidate(told.report["key"])

    [warning] = warnings(told)
    assert 0 == told.code
    theirs, _, ours = warning.partition(" of meetings.extract, this producer has ")
    assert re.match(
        "warning: workers: the workers of queue (jobs:)?askonce have version [0-9a-f]{16} ", theirs
    )
    assert theirs.endswith(f" (model {TODAY})")
    assert ours.endswith(f" (model {TOMORROW}); start workers with the same settings")


def test_explain_shows_why_a_queued_job_waits(idle_machine, producer, submit, new_order, no_worker):
    order = new_order()
    before = producer(idle_machine, "explain", "orders.enrich", json.dumps(order)).report
    submit(idle_machine, "orders.enrich", [order])

    after = producer(idle_machine, "explain", "orders.enrich", json.dumps(order)).report

    assert ("absent", None) == (before["state"], before["waits"])
    assert ("queued", no_worker) == (after["state"], after["waits"])


def test_doctor_finds_whether_workers_take_the_tasks(machine, idle_machine, producer):
    assert (0, ["none"]) == named(doctor(producer, idle_machine))
    assert (0, ["run"]) == named(doctor(producer, machine))


def test_doctor_finds_each_task_that_workers_have_in_another_version(machine, producer):
    code, found = doctor(producer, machine, OPENAI_MODEL=TOMORROW)

    assert (0, ["other_version"] * 4) == named((code, found))
    assert all(TODAY in each["text"] and TOMORROW in each["text"] for each in found)
    assert {"warning"} == {each["severity"] for each in found}


def test_doctor_does_not_know_the_workers_of_a_store_that_is_away(idle_machine, producer):
    code, found = doctor(producer, idle_machine, REDIS_URL="redis://127.0.0.1:1/0")

    assert (78, ["unknown"]) == named((code, found))
