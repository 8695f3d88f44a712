import subprocess
import sys
from inspect import signature
from pathlib import Path
from pkgutil import resolve_name

import pytest

from settings.environment import Settings
from tasks.catalog import TASKS, catalog

ROOT = Path(__file__).parents[2]


def test_catalog_has_every_task_under_its_name():
    specs = catalog(Settings(job_lease=7, job_queue_deadline=8))

    assert [task.name for task in TASKS] == list(specs) == [spec.name for spec in specs.values()]
    assert {(7.0, 8.0)} == {(spec.lease, spec.queue_deadline) for spec in specs.values()}


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_body_takes_a_payload_and_the_resources_of_its_process(task):
    assert ["payload", "resources"] == list(signature(resolve_name(task.body)).parameters)


def test_worker_has_a_task_for_each_row():
    code = "from worker.app import app; print(*app.tasks)"

    shown = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True)

    assert {task.name for task in TASKS} <= set(shown.split())
