import io
import json
import logging
from types import MappingProxyType

import pytest

from askonce import log
from askonce.events import Event, EventType
from settings import logs

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
def written():
    """Return what a handler writes of a record in a form; no real handler, as others would have it too."""

    def write(form, message, *arguments, error=None, stack=None, **extra):
        trace = (type(error), error, error.__traceback__) if error else None
        made = ("any.library", logging.WARNING, __file__, 1, message, arguments, trace, "here", extra, stack)
        record = logging.getLogger("any.library").makeRecord(*made)
        try:
            return logs.new_formatter(form).format(record) + logging.StreamHandler.terminator
        except TypeError as refused:
            pytest.fail(f"the record is lost: {refused}")

    return write


@pytest.fixture
def event_line():
    """An event as the message of a record."""
    data = {"run_seconds": 0.12345, "cost_usd": 0.000213, "usage": MappingProxyType({"n": 1}), "source": ""}
    return log.EventLine(Event(kind_of("job.completed"), "rates.fetch", KEY, "job-1", data))


def test_event_is_json_with_its_fields(written, event_line):
    line = json.loads(written("json", event_line))

    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "warning",
        "logger": "any.library",
        "process": "MainProcess",
        "event": "job.completed",
        "task": "rates.fetch",
        "key": KEY,
        "job": "job-1",
        "run_seconds": 0.12345,
        "cost_usd": 0.000213,
        "usage": {"n": 1},
    }


@pytest.mark.parametrize("form", ["json", "console"])
def test_id_of_a_payload_hides_nothing_of_a_line(written, form):
    names = ("event", "timestamp", "level", "process", "_record", "exception")
    event = Event(
        kind_of("job.done"), "t", KEY, "j", {"outcome": "done", "ids": tuple((n, "x") for n in names)}
    )

    line = written(form, log.EventLine(event))

    assert "job.done" in line
    assert "WARNING" in line.upper()
    assert "2" == line.removeprefix('{"timestamp":"')[0]


def test_event_is_words_for_a_person(written, event_line):
    _, _, words = written("console", event_line).partition(" ")

    assert words == (
        "WARNING job.completed task=rates.fetch key=0123456789abcdef job=job-1"
        " run_seconds=0.123 cost_usd=0.000213 usage={'n': 1}\n"
    )


def test_line_of_a_library_has_the_same_form(written):
    line = json.loads(written("json", "got %d of %s", 1, "x"))

    assert ("got 1 of x", "any.library", "warning") == (line["event"], line["logger"], line["level"])
    assert written("console", "got %d", 1).endswith("Z WARNING got 1\n")


def test_line_of_structlog_itself_has_the_same_form(written):
    own = {"event": "metrics.served", "port": 9808}

    text = written("json", own, _logger=None, _name="info")

    assert ("metrics.served", 9808) == (json.loads(text)["event"], json.loads(text)["port"])


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("name", ["\x1b[2J\n2026-01-01", "\x9b2J", "\u202e", "\udc9b"], ids=ascii)
def test_hostile_name_writes_one_line(written, form, name):
    data = {"field": name, "reason": name}
    event = written(form, log.EventLine(Event(kind_of("job.invalid"), name, KEY, name, data)))
    library = written(form, "got %s", name)
    odd = written(form, {"event": name, name: name}, _logger=None, _name="info")

    for text in (event, library, odd):
        assert text.removesuffix("\n").isprintable()


@pytest.mark.parametrize("form", ["json", "console"])
def test_traceback_and_stack_begin_no_line_at_the_margin(written, form):
    error = ValueError("x\n2026-01-01 forged\x1b[2J")

    first, *others = written(form, "failed", error=error, stack="Stack:\n  here").splitlines()

    assert "2026-01-01 forged" in "".join([first, *others])
    assert all(line.startswith("  ") for line in others)
    assert all(line.isprintable() for line in [first, *others])
    assert form == "console" or others == []


def test_line_that_is_written_within_a_call_has_its_job(written, scene):
    texts = []

    answered = scene.answered(body=lambda: texts.append(written("json", "Retrying")) or 1)

    assert [answered.job] == [json.loads(text).get("job") for text in texts]


@pytest.mark.parametrize(
    ("form", "terminal", "is_json"),
    [(None, True, False), (None, False, True), ("json", True, True), ("console", False, False)],
)
def test_form_is_the_one_of_the_switch_or_of_the_stream(
    monkeypatch, untouched_loggers, form, terminal, is_json
):
    stream = io.StringIO()
    stream.isatty = lambda: terminal
    monkeypatch.setattr("sys.stderr", stream)
    # pytest's own are put there for each phase of a test.
    monkeypatch.setattr(logging.getLogger(), "handlers", [])

    logs.configure(form)
    logging.getLogger("any.library").warning("hello")

    assert is_json == stream.getvalue().startswith("{")
    assert "hello" in stream.getvalue()


def test_log_file_gets_json(tmp_path, untouched_loggers):
    logs.configure(None, logfile=str(tmp_path / "w.log"))
    logging.getLogger("any.library").warning("hello")

    assert "hello" == json.loads((tmp_path / "w.log").read_text())["event"]


@pytest.fixture
def untouched_loggers(monkeypatch):
    root = logging.getLogger()
    handlers, level = [*root.handlers], root.level
    for name in logs._CHATTY:
        logger = logging.getLogger(name)
        monkeypatch.setattr(logger, "level", logger.level)
    yield
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
        handler.close()
    root.level = level
    logging.captureWarnings(capture=False)


def test_event_is_one_line_with_its_name_first(logged):
    line = logged("job.deferred", run_seconds=0.12345, reason="x").getMessage()

    assert line == ("job.deferred task=rates.fetch key=0123456789abcdef job=job-1 run_seconds=0.123 reason=x")


def test_unknown_values_are_left_out(logged):
    assert "cost_usd" not in logged("job.deferred", cost_usd=None, reason="").getMessage()


def test_zero_is_logged(logged):
    assert logged("job.deferred", cost_usd=0.0, resends=0).getMessage().endswith("cost_usd=0 resends=0")


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
        logged("job.deferred", run_seconds=0.5, cost_usd=cost)
        .getMessage()
        .endswith(f"run_seconds=0.500 cost_usd={shown}")
    )


def test_event_that_a_stranger_names_is_one_line(logged):
    line = logged("job.invalid", field="x\n2026-01-01 forged\x1b[2J", reason="é").getMessage()

    assert line.endswith("field=x?2026-01-01 forged?[2J reason=é")


def test_percent_sign_in_an_event_does_no_harm(logged):
    assert logged("job.failed", reason="100%s").getMessage().endswith("reason=100%s")


WARNINGS = {"job.failed", "job.fenced", "job.unstored", "job.send_failed", "lease.lost", "reaper.failed"}


@pytest.mark.parametrize("name", sorted(WARNINGS | {"job.admitted", "job.hit", "job.done", "job.deferred"}))
def test_event_for_a_person_is_a_warning(logged, name):
    assert logged(name).levelno == (logging.WARNING if name in WARNINGS else logging.INFO)


def test_line_is_not_made_below_the_level(monkeypatch, caplog):
    caplog.set_level(logging.WARNING, logger="askonce")
    monkeypatch.setattr(log, "_line", lambda _event: pytest.fail("made"))
    monkeypatch.setattr(log, "EventLine", lambda _event: pytest.fail("logged"))

    log.log_event(Event(type=EventType.JOB_HIT))


def test_pool_does_not_log_the_messages_that_it_gets(untouched_loggers):
    logs.configure(None, logging.DEBUG)

    assert not logging.getLogger("celery.pool").isEnabledFor(logging.DEBUG)


def test_libraries_that_log_addresses_are_quiet(untouched_loggers):
    logs.configure(None, logging.INFO)

    assert not logging.getLogger("httpx2").isEnabledFor(logging.INFO)
    assert not logging.getLogger("celery.app.trace").isEnabledFor(logging.INFO)
    assert logging.getLogger("httpx2").isEnabledFor(logging.WARNING)
