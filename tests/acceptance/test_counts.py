import json
import subprocess
import sys

import pytest

from sandbox.machine import ROOT
from tests.deadlines import stretched

pytestmark = pytest.mark.acceptance


@pytest.mark.long
def test_what_happened_is_counted_by_name_and_task(machine, submit, new_order):
    submit(machine, "orders.enrich", [new_order()] * 3, "--wait")

    command = [sys.executable, "-m", "celery", "-A", "worker.app", "inspect", "counts", "--json"]
    told = subprocess.run(
        command, cwd=ROOT, env=machine.env, capture_output=True, text=True, timeout=stretched(60), check=True
    )

    [counted] = json.loads(told.stdout).values()
    assert counted["job.completed orders.enrich"] >= 1
    assert counted["job.completed customers.lookup"] >= 1
