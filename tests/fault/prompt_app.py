"""The project's app with a new prompt, and a schedule that rolls it over a file of meetings."""

import os
from dataclasses import replace
from pathlib import Path

from tasks.meetings import prompts

prompts.PROMPT_VERSION = os.environ["PROMPT"]

from askonce.adapters.celery import slot_task  # noqa: E402  # the prompt is chosen before
from askonce.schedule import Cron, Entry, Policy, StoredFile  # noqa: E402
from askonce.schedule.entry import by_name  # noqa: E402
from worker.app import app, once  # noqa: E402

ENTRY = Entry(
    name="new prompt",
    # By hand only.
    at=Cron("0 0 29 2 *"),
    query=StoredFile(task="meetings.extract", path=Path(os.environ["ROWS"])),
    policy=Policy(rate=float(os.environ["RATE"]), max_cost=float(os.environ["MAX_COST"])),
)
# The test kills the worker of the slots, and no call with it.
app.conf.task_routes = {"askonce.slot": {"queue": "slots"}}
once.schedule = by_name([ENTRY])
slot_task.SLOT = replace(slot_task.SLOT, lease=3.0)
slot_task.register(once)
