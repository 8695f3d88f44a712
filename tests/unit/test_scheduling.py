"""Holds docs/scheduling.md to what Celery does."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from celery import Celery
from celery.beat import ScheduleEntry
from celery.schedules import crontab, schedule

from askonce.adapters.celery import AskOnce, IdempotentTask
from askonce.adapters.memory import MemoryStore
from askonce.options import terms_of
from askonce.schedule import Cron
from askonce.schedule.slots import after
from askonce.spec import JobSpec

PAGE = (Path(__file__).parents[2] / "docs/scheduling.md").read_text()
CODE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
BERLIN = ZoneInfo("Europe/Berlin")
SPRING, AUTUMN = datetime(2027, 3, 27, 12, tzinfo=UTC), datetime(2026, 10, 24, 12, tzinfo=UTC)


@pytest.fixture
def sent():
    """Let beat look at an entry every five minutes of a day; return the local times when it was due."""

    def run(when, start, last=None, **settings):
        app = Celery(set_as_current=False)
        app.conf.update(timezone="Europe/Berlin", **settings)
        moments = [start + timedelta(minutes=5 * number) for number in range(24 * 12)]
        when.app, found = app, []
        for now in moments:
            when.nowfun = lambda now=now: now.astimezone(BERLIN)
            last = last or when.now()
            if when.is_due(last).is_due:
                last = when.now()
                found.append(f"{last:%H:%M%z}"[:8])
        return found

    return run


def test_schedule_of_the_page_is_one_that_an_app_takes():
    app, found = Celery(set_as_current=False), {}
    exec(CODE[0], found)  # our own page
    once = AskOnce(app, store=MemoryStore, schedule=found["SCHEDULE"])

    @app.task(name="orders.enrich", base=IdempotentTask, spec=JobSpec(), shared=False)
    def enrich(order_id):
        return order_id

    assert ([], ["orders every night", "dead letters"]) == (once.check_schedule(), list(once.schedule))


@pytest.mark.parametrize(
    ("at", "spring", "autumn"),
    [
        (Cron("30 2 * * *", "Europe/Berlin"), ["03:00+02"], ["02:30+02"]),
        (
            Cron("15 * * * *", "Europe/Berlin"),
            ["00:15+01", "01:15+01", "03:15+02", "04:15+02"],
            ["00:15+02", "01:15+02", "02:15+02", "02:15+01", "03:15+01", "04:15+01"],
        ),
        (
            Cron("*/15 2 * * *", "Europe/Berlin"),
            [],
            [f"02:{minute}+0{hour}" for hour in (2, 1) for minute in ("00", "15", "30", "45")],
        ),
    ],
)
def test_slots_of_the_page_are_those_of_both_changes(at, spring, autumn):
    assert (spring, autumn) == (slots_by(at, SPRING), slots_by(at, AUTUMN))


def slots_by(at, start):
    """Return what a clock on the wall shows at the slots of the morning after *start*."""
    slot, found = int(start.timestamp() * 1000), []
    while (slot := after(at, slot)) < (start + timedelta(hours=18)).timestamp() * 1000:
        found.append(f"{datetime.fromtimestamp(slot / 1000, BERLIN):%H:%M%z}"[:8])
    return [time for time in found if time < "05"]


def test_entries_of_the_page_are_entries_whose_options_enqueue_takes():
    [_, code] = CODE
    app = Celery(set_as_current=False)
    exec(code, {"app": app})  # our own page

    entries = [ScheduleEntry(name=name, app=app, **entry) for name, entry in app.conf.beat_schedule.items()]

    terms = [terms_of(JobSpec(), entry.options, "<", 0.0) for entry in entries]
    assert [(300.0, False), (None, True)] == [(each.max_age, each.force) for each in terms]


@pytest.mark.parametrize(
    ("when", "start", "times"),
    [
        (crontab(hour=2, minute=30), SPRING, ["03:30+02"]),
        (crontab(hour=2, minute=30), AUTUMN, ["02:30+02"]),
    ],
)
def test_daily_entry_is_sent_once_when_the_clock_changes(sent, when, start, times):
    assert times == sent(when, start)


def test_hourly_entry_leaves_out_the_repeated_hour(sent):
    spring, autumn = (
        [time for time in sent(crontab(minute=15), day) if time < "05"] for day in (SPRING, AUTUMN)
    )

    assert ["00:15+01", "01:15+01", "03:15+02", "04:15+02"] == spring
    assert ["00:15+02", "01:15+02", "02:15+02", "03:15+01", "04:15+01"] == autumn


def test_entry_of_seconds_does_not_see_a_clock_change(sent):
    assert ["17:00+01", "21:00+01", "01:00+01", "06:00+02", "10:00+02"] == sent(
        schedule(timedelta(hours=4)), SPRING
    )


def test_entry_that_was_missed_for_days_is_sent_once(sent):
    last = (SPRING - timedelta(days=4)).astimezone(BERLIN)

    assert ["13:00+01", "03:30+02"] == sent(crontab(hour=2, minute=30), SPRING, last)
    assert ["03:30+02"] == sent(crontab(hour=2, minute=30), SPRING, last, beat_cron_starting_deadline=3600)
