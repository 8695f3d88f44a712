"""Tries what docs/own-app.md says, beside the files that the page consists of.

`test_own_app_page.py` copies this as one more file of tests into the folder with the page's own.
"""

import asyncio
import os
import re
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path
from threading import Event
from uuid import UUID

import metrics
import nightly
import pytest
import shop
import web
from celery import Celery
from celery.exceptions import Ignore, Reject

from askonce import (
    Admitted,
    Attached,
    Cancelled,
    Configuration,
    Conflict,
    Duplicate,
    Handle,
    Hit,
    JobFailed,
    JobSpec,
    PayloadInvalid,
    Permanent,
    Postponed,
    RecordAbsent,
    RetryPolicy,
    Superseded,
)
from askonce.adapters.celery import AskOnce, IdempotentTask
from askonce.adapters.memory import MemoryStore
from askonce.errors import OptionInvalid

PAGE = Path(os.environ["OWN_APP_PAGE"]).read_text()
SECONDS = float(os.environ["OWN_APP_SECONDS"])
SOON = RetryPolicy(max_attempts=2, base=0.01)
#: So that a job stays in flight.
LATER = {"countdown": 600}


class Colour(Enum):
    RED = "red"


class Bodies:
    """Bodies that raise what a test wants, and the number of their calls."""

    def __init__(self):
        self.calls, self.raised = {}, {}

    def __call__(self, name):
        self.calls[name] = self.calls.get(name, 0) + 1
        if self.raised.get(name):
            raise self.raised[name].pop(0)
        return "done"


bodies, received = Bodies(), {}


def new_task(name, spec=None, *, bind=False, **options):
    """Add a task to the page's app; its body is in `bodies`."""

    def body(what):
        return bodies(what)

    def bound(self, what):
        return bodies(what)

    options |= {"name": name, "base": IdempotentTask, "spec": spec or JobSpec(retry=SOON)}
    return shop.app.task(bind=bind, **options)(bound if bind else body)


steered = new_task("steered")
policed = new_task("policed", JobSpec(retry=RetryPolicy(max_attempts=5, base=0.01)))
auto = new_task("auto", autoretry_for=(OSError,), retry_kwargs={"max_retries": 1, "countdown": 0})


@shop.app.task(name="show", base=IdempotentTask, spec=JobSpec())
def show(way, value):
    received[way] = value


@shop.app.task(name="pair", base=IdempotentTask, spec=JobSpec(key_fields=("a",), on_mismatch="conflict"))
def pair(a, b):
    return a, b


@shop.app.task(name="other_pair", base=IdempotentTask, spec=JobSpec(key_fields=("a",)))
def other_pair(a, b):
    return a, b


@shop.app.task(name="pay_once", base=IdempotentTask)
def pay_once():
    pass


def failure_of(task, what, *errors):
    """Return how the job ended whose body raised *errors*, one for each call; None where it was answered."""
    bodies.raised[what] = list(errors)
    try:
        task.enqueue({"what": what}).result(SECONDS)
    except JobFailed as failed:
        return failed.kind, failed.reason
    return None


# What web.py and the text beside it say.


def test_direct_call_touches_no_record():
    assert 5.42 == shop.fetch("JPY")
    assert isinstance(shop.fetch.enqueue({"currency": "JPY"}), Admitted)


def test_handlers_return_the_rate():
    assert (200, 5.42) == web.quote("EUR")
    assert (200, 5.42) == asyncio.run(web.quote_on_a_loop("USD"))


def test_handler_returns_a_key_that_a_later_request_uses(monkeypatch):
    gate = Event()
    monkeypatch.setattr(shop, "call_the_bank", lambda _: gate.wait(SECONDS) and 7.1)
    monkeypatch.setattr(web.fetch, "enqueue", impatient(shop.fetch.enqueue))

    status, key = web.quote("GBP")

    assert (202, (202, key)) == (status, web.look_again(key))
    assert (202, key) == asyncio.run(web.quote_on_a_loop("GBP"))
    gate.set()
    assert 7.1 == shop.fetch.result(key).get(timeout=SECONDS)
    assert (200, 7.1) == web.look_again(key)
    assert 7.1 == Handle.from_key(shop.once.process().store, key).result(SECONDS).value


def impatient(enqueue):
    """Let the handler wait for a moment only."""

    class Impatient:
        def __init__(self, outcome):
            self.key, self.result = outcome.key, lambda timeout: outcome.result(timeout / 1000)
            self.aresult = lambda timeout: outcome.aresult(timeout / 1000)

    return lambda payload: Impatient(enqueue(payload))


def test_group_has_an_outcome_in_each_place():
    rows = [
        {"invoice_id": 20, "text": "a"},
        {"text": "b"},
        {"invoice_id": "20", "text": "a"},
        {"invoice_id": 21},
    ]

    outcomes, refused = nightly.enqueue_all([*rows, {"invoice_id": 21, "text": "a b c"}])

    assert [Admitted, PayloadInvalid, Attached, Superseded, Admitted] == [type(each) for each in outcomes]
    assert ([1, 3], 4) == (list(refused), refused[3].by)
    assert [1, 1, 3] == [outcomes[place].result(SECONDS).value["words"] for place in (0, 2, 4)]


def test_delay_waits_for_the_answer_without_a_backend():
    assert 5.42 == shop.fetch.delay("CHF").get(timeout=SECONDS)


def test_option_that_cannot_be_honoured_is_refused():
    for options in ({"exchange": "x"}, {"serializer": "pickle"}):
        with pytest.raises(OptionInvalid, match=next(iter(options))):
            shop.fetch.apply_async(("SEK",), **options)


def test_task_id_alone_finds_no_answer():
    with pytest.raises(ValueError, match="its answer is in the record"):
        shop.fetch.AsyncResult(shop.fetch.delay("NOK").id).get(timeout=SECONDS)


def test_key_without_a_record_raises():
    with pytest.raises(RecordAbsent):
        Handle.from_key(shop.once.process().store, "0" * 64).result(SECONDS)
    with pytest.raises(RecordAbsent):
        shop.fetch.result("0" * 64).get(timeout=SECONDS)


def test_queue_of_a_route_is_listened_to():
    heard = shop.once.listening("invoices.read")

    assert (True, "invoices") == (heard.ok, heard.queue)
    elsewhere = shop.read.enqueue({"invoice_id": 1, "text": "a b"}, queue="celery", priority=3)
    assert 2 == elsewhere.result(SECONDS).value["words"]


def test_listener_of_the_page_counts_events():
    app = Celery("other", broker="memory://", set_as_current=False)
    once = AskOnce(app, store=MemoryStore, listen=metrics.listen)
    app.task(name="nothing", base=IdempotentTask, shared=False)(Bodies.__init__)
    once.producer.enqueue(JobSpec(name="nothing"), {})

    assert 1 == metrics.counted["job.admitted", "nothing"]


# What a body raises.


def test_errors_of_a_body_decide_what_becomes_of_its_job():
    assert ("permanent", "word") == failure_of(steered, "permanent", Permanent("word"))
    assert ("configuration", "word") == failure_of(steered, "configuration", Configuration("word"))
    kind, reason = failure_of(steered, "other", KeyError("x"), KeyError("x"))
    assert ("quarantined", "KeyError@test_page.py") == (kind, reason.partition(":")[0])
    assert None is failure_of(steered, "once", KeyError("x"))
    assert [1, 1, 2, 2] == [bodies.calls[what] for what in ("permanent", "configuration", "other", "once")]


def test_body_cancels_or_postpones_its_job():
    assert ("cancelled", "word") == failure_of(steered, "cancelled", Cancelled("word"))
    assert None is failure_of(steered, "postponed", *(Postponed("word") for _ in range(2)))
    assert [1, 3] == [bodies.calls[what] for what in ("cancelled", "postponed")]


def test_service_that_is_overloaded_is_called_again(monkeypatch):
    errors = [shop.Overloaded()]

    def overloaded(_):
        if errors:
            raise errors.pop()
        return 3

    monkeypatch.setattr(shop, "read_by_service", overloaded)
    result = shop.read.enqueue({"invoice_id": 3, "text": "x"}).result(SECONDS)

    assert (3, 2) == (result.value["words"], result.attempts)


def test_retry_of_the_page_is_a_failure_for_now(monkeypatch):
    errors, retries = [TimeoutError(), TimeoutError()], []

    def slow(_):
        retries.append(shop.count.request.retries)
        raise errors.pop()

    monkeypatch.setattr(shop, "ask_the_warehouse", slow)
    with pytest.raises(JobFailed) as failed:
        shop.count.enqueue({"item": "pen"}).result(SECONDS)

    assert ("quarantined", "TimeoutError") == (failed.value.kind, failed.value.reason)
    assert [0, 1] == retries


def test_ignore_and_reject_end_a_job_or_put_it_back():
    assert ("cancelled", "ignored") == failure_of(steered, "ignore", Ignore())
    assert ("cancelled", "rejected") == failure_of(steered, "reject", Reject("no", requeue=False))
    assert None is failure_of(steered, "requeue", Reject("later", requeue=True), KeyError("x"))
    assert [1, 1, 3] == [bodies.calls[what] for what in ("ignore", "reject", "requeue")]


@pytest.mark.parametrize("verb", ["replace", "add_to_chord"])
def test_verb_that_the_record_cannot_follow_is_refused(verb):
    with pytest.raises(Configuration):
        getattr(steered, verb)(steered.s("x"))


# Types.


def rows_of(heading, columns):
    """Return the cells of the table below *heading*."""
    part = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [re.split(r"(?<!\\) \| ", line.strip("| ")) for line in part.splitlines() if line.startswith("| ")]
    return [row for row in rows[1:] if len(row) == columns]


TYPES = rows_of("Types in the body", 2)
#: What the cells of this table use.
NAMES = {each.__name__: each for each in (Colour, Decimal, UUID, date, datetime, timedelta, timezone)}


@pytest.mark.parametrize("row", TYPES[:-1], ids=[row[0] for row in TYPES[:-1]])
def test_body_gets_the_type_that_the_page_names(row):
    value, form = (eval(cell.strip("`"), NAMES) for cell in (row[0], row[1]))

    received.clear()
    show("direct", value)
    show.apply(("apply", value))
    show.delay("delay", value).get(timeout=SECONDS)
    show.enqueue({"way": "enqueue", "value": value}).result(SECONDS)

    assert {"direct": form, "apply": form, "delay": form, "enqueue": form} == received
    assert [type(form)] * 4 == [type(each) for each in received.values()]


def test_value_without_a_form_is_refused_by_its_field():
    assert '`{1, 2}`, `b"x"`' == TYPES[-1][0]
    for value in ({1, 2}, b"x"):
        for ask in (show, show.delay, lambda way, value: show.enqueue({"way": way, "value": value})):
            with pytest.raises(PayloadInvalid) as refused:
                ask("sent", value)
            assert "value" == refused.value.field


# The tables of other libraries.


def test_duplicate_attaches_or_is_rejected():
    first = steered.enqueue({"what": "twice"}, **LATER)

    assert isinstance(steered.enqueue({"what": "twice"}, on_duplicate="reject"), Duplicate)
    with pytest.raises(JobFailed):
        steered.apply_async(("twice",), on_duplicate="reject")
    second = steered.enqueue({"what": "twice"})
    assert isinstance(second, Attached)
    assert first.job == second.job == steered.delay("twice").id
    assert ["done"] * 2 == [outcome.result(SECONDS).value for outcome in (first, second)]


def test_other_field_of_a_known_key_is_a_conflict_or_replaces():
    for task, expected in ((pair, Conflict), (other_pair, Admitted)):
        task.enqueue({"a": 1, "b": 1}, **LATER)
        assert isinstance(task.enqueue({"a": 1, "b": 2}, **LATER), expected)


def test_task_without_arguments_is_one_key():
    assert pay_once.enqueue({}, **LATER).key == pay_once.enqueue({}).key


def test_answer_is_served_while_it_is_fresh_unless_a_caller_wants_a_new_one():
    assert None is failure_of(steered, "fresh")
    assert isinstance(steered.enqueue({"what": "fresh"}), Hit)
    assert isinstance(steered.enqueue({"what": "fresh"}, max_age=600), Hit)
    assert "done" == steered.enqueue({"what": "fresh"}, force=True).result(SECONDS).value
    assert 2 == bodies.calls["fresh"]


def test_autoretry_goes_on_working():
    assert ("quarantined", "OSError") == failure_of(auto, "auto", OSError(), OSError(), OSError())
    assert ("permanent", "word") == failure_of(auto, "not auto", Permanent("word"))
    assert [2, 1] == [bodies.calls[what] for what in ("auto", "not auto")]


def test_policy_says_what_autoretry_said():
    assert None is failure_of(policed, "policed", *(TimeoutError() for _ in range(4)))
    assert ("permanent", "word") == failure_of(policed, "unpoliced", Permanent("word"))
    assert [5, 1] == [bodies.calls[what] for what in ("policed", "unpoliced")]
