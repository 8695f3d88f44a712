import logging

import pytest

from askonce import log
from askonce.events import Event, EventType
from worker.listeners import logs

KEY = "0123456789abcdef" * 4


def kind_of(name):
    return EventType[name.replace(".", "_").upper()]


@pytest.fixture
def logged(caplog):
    """Log an event and return its record."""
    caplog.set_level(logging.INFO, logger="askonce")

    def emit(name, **data):
        log.log_event(Event(type=kind_of(name), task="rates.fetch", key=KEY, job="job-1", data=data))
        return caplog.records[-1]

    return emit


@pytest.fixture
def untouched_loggers(monkeypatch):
    for name in logs._CHATTY:
        logger = logging.getLogger(name)
        monkeypatch.setattr(logger, "level", logger.level)


def test_event_is_one_line_with_its_name_first(logged):
    line = logged("job.completed", run_seconds=0.12345, source="call").getMessage()

    assert line == (
        "job.completed task=rates.fetch key=0123456789abcdef job=job-1 run_seconds=0.123 source=call"
    )


def test_unknown_values_are_left_out(logged):
    assert "cost_usd" not in logged("job.completed", cost_usd=None, reason="").getMessage()


def test_zero_is_logged(logged):
    assert logged("job.completed", cost_usd=0.0, resends=0).getMessage().endswith("cost_usd=0 resends=0")


@pytest.mark.parametrize(
    ("cost", "shown"),
    [
        (0.000213, "0.000213"),
        (0.00016410000000000003, "0.0001641"),
        (2.13e-07, "0.000000213"),
        (0.1 + 0.2, "0.3"),
        (1234.5678905, "1234.56789"),
        (100, "100"),
    ],
)
def test_cost_is_logged_in_plain_digits_that_show_it(logged, cost, shown):
    assert (
        logged("job.completed", run_seconds=0.5, cost_usd=cost)
        .getMessage()
        .endswith(f"run_seconds=0.500 cost_usd={shown}")
    )


def test_event_that_a_stranger_names_is_one_line(logged):
    line = logged("job.invalid", field="x\n2026-01-01 forged\x1b[2J", reason="é").getMessage()

    assert line.endswith("field=x?2026-01-01 forged?[2J reason=é")


def test_percent_sign_in_an_event_does_no_harm(logged):
    assert logged("job.failed", reason="100%s").getMessage().endswith("reason=100%s")


WARNINGS = {"job.failed", "job.fenced", "job.unstored", "job.send_failed", "lease.lost", "reaper.failed"}


@pytest.mark.parametrize(
    "name", sorted(WARNINGS | {"job.admitted", "job.hit", "job.completed", "job.deferred"})
)
def test_event_for_a_person_is_a_warning(logged, name):
    assert logged(name).levelno == (logging.WARNING if name in WARNINGS else logging.INFO)


def test_line_is_not_made_below_the_level(monkeypatch, caplog):
    caplog.set_level(logging.WARNING, logger="askonce")
    monkeypatch.setattr(log, "_line", lambda _event: pytest.fail("made"))

    log.log_event(Event(type=EventType.JOB_HIT))


def test_pool_does_not_log_the_messages_that_it_gets(untouched_loggers):
    logs.configure(logging.DEBUG)

    assert not logging.getLogger("celery.pool").isEnabledFor(logging.DEBUG)


def test_libraries_that_log_addresses_are_quiet(untouched_loggers):
    logs.configure(logging.INFO)

    assert not logging.getLogger("httpx2").isEnabledFor(logging.INFO)
    assert not logging.getLogger("celery.app.trace").isEnabledFor(logging.INFO)
    assert logging.getLogger("httpx2").isEnabledFor(logging.WARNING)
