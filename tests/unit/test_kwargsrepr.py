import ast
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.adapters.celery.header import HEADER
from askonce.adapters.celery.kwargsrepr import kwargsrepr_of, received
from askonce.key import identify
from askonce.options import NAME_MAX
from askonce.spec import JobSpec
from tests.jobs import new_header

SPEC = JobSpec(name="orders.enrich", shown=("order_id", "seat"))
ORDER = {"order_id": "PED-1", "note": "hunter2-of-ana-souza"}
NOTHING = "{}"
LINE = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), max_size=64)


def task(spec=SPEC):
    return SimpleNamespace(job_spec=spec, bind_row=lambda args, kwargs: {**kwargs, "args": list(args)})


def shown_of(kwargsrepr, header=None, kwargs=ORDER, args=()):
    """What monitors see of a message whose sender wrote *kwargsrepr* into its headers."""
    headers = {"kwargsrepr": kwargsrepr, "headers": None if header is None else {HEADER: header}}
    return received(task(), headers, args, kwargs)


@given(LINE, LINE, LINE, LINE | st.integers(-(2**63), 2**64 - 1))
def test_monitors_get_a_flat_literal_whatever_names_and_ids_hold(tenant, run, order_id, seat):
    job = identify(SPEC, {"order_id": order_id, "seat": seat}, tenant, run=run)
    text = kwargsrepr_of(job)

    shown = {"tenant": tenant, "key": job.key[:16], "run": run, "order_id": order_id, "seat": seat}
    assert ast.literal_eval(text) == {name: value for name, value in shown.items() if value != ""}
    assert shown_of(text, kwargs={}) == text


def test_long_names_leave_room_for_as_many_ids_as_fit():
    quoted = "'\"" * (NAME_MAX // 2)
    names = tuple("abcdef")
    job = identify(JobSpec(name="t", shown=names), dict.fromkeys(names, "\\" * 64), quoted, run=quoted)

    text = kwargsrepr_of(job)

    assert len(text) <= 1024
    assert ast.literal_eval(text)["tenant"] == quoted
    assert 0 < len(ast.literal_eval(text).keys() & set(names)) < len(names)


def test_name_that_no_option_may_have_is_left_out():
    job = identify(SPEC, ORDER, "x" * 100_000, run="night")

    assert kwargsrepr_of(job) == f"{{'key': '{job.key[:16]}'}}"


@pytest.mark.parametrize(
    "written",
    [
        None,
        7,
        "",
        "{}",
        "{'note': 'hunter2'}",
        "{'order_id': 'PED-1'}",
        "{'key': '0a0a0a0a0a0a0a0a', 'note': 'hunter2'}",
        "{'order_id': ['hunter2'], 'key': '0a0a0a0a0a0a0a0a'}",
        "{'order_id': '" + "x" * 65 + "', 'key': '0a0a0a0a0a0a0a0a'}",
        "{'order_id': '\x1b[31m', 'key': '0a0a0a0a0a0a0a0a'}",
        "{'order_id': 'a', 'order_id': 'b', 'key': '0a0a0a0a0a0a0a0a'}",
        "{'key': '0a0a0a0a0a0a0a0a'} hunter2",
    ],
    ids=repr,
)
def test_what_another_sender_wrote_is_replaced_by_the_ids_of_its_payload(written):
    key = identify(SPEC, {**ORDER, "args": []}).key

    assert shown_of(written) == f"{{'order_id': 'PED-1', 'key': '{key[:16]}'}}"


def test_tenant_and_run_of_another_sender_are_shown():
    key = identify(SPEC, {**ORDER, "args": []}, "acme").key

    shown = shown_of(None, {"tenant": "acme", "run": "night"})

    assert shown == f"{{'order_id': 'PED-1', 'key': '{key[:16]}', 'tenant': 'acme', 'run': 'night'}}"


def test_identity_of_a_message_names_its_tenant_and_run():
    job = identify(SPEC, {**ORDER, "args": []}, "acme", run="night")

    assert shown_of(None, new_header(job)) == kwargsrepr_of(job)


@pytest.mark.parametrize(
    ("header", "kwargs"),
    [
        ("no mapping", ORDER),
        ({"tenant": 7}, ORDER),
        (None, {"order_id": float("nan")}),
        (None, {7: "order"}),
        (None, "no mapping"),
    ],
)
def test_message_that_the_worker_will_refuse_shows_nothing(header, kwargs):
    assert shown_of(None, header, kwargs) == NOTHING
