from __future__ import annotations

import pickle

import pytest

from askonce.errors import Configuration, Permanent, Postponed, Transient
from tasks.providers.failures import as_attempt, from_status, parse_retry_after, with_spending

NOON = 1_700_000_000.0


STATUSES = {
    301: (Configuration, "redirected"),
    307: (Configuration, "redirected"),
    400: (Permanent, "invalid_request"),
    401: (Configuration, "invalid_key"),
    402: (Configuration, "no_credit"),
    403: (Configuration, "no_permission"),
    404: (Permanent, "not_found"),
    405: (Permanent, "http_405"),
    407: (Configuration, "http_407"),
    408: (Transient, "timeout"),
    409: (Transient, "conflict"),
    410: (Permanent, "not_found"),
    413: (Permanent, "too_large"),
    422: (Permanent, "invalid_request"),
    425: (Transient, "http_425"),
    429: (Postponed, "rate_limited"),
    451: (Permanent, "http_451"),
    500: (Transient, "server_error"),
    501: (Transient, "server_error"),
    502: (Transient, "gateway_gave_up"),
    503: (Transient, "unavailable"),
    504: (Transient, "gateway_gave_up"),
    524: (Transient, "gateway_gave_up"),
    529: (Postponed, "overloaded"),
    599: (Transient, "server_error"),
    204: (Transient, "http_204"),
}


@pytest.mark.parametrize("status", STATUSES)
def test_status_alone_has_one_meaning(status):
    failure = from_status(status)

    assert (type(failure), failure.reason) == STATUSES[status]


@pytest.mark.parametrize("status", [429, 503, 529])
def test_refusal_that_says_when_uses_no_attempt(status):
    failure = from_status(status, retry_after=7.0)

    assert (type(failure), failure.data["retry_after"]) == (Postponed, 7.0)


@pytest.mark.parametrize(
    ("status", "maybe_billed"),
    [(408, True), (409, False), (500, True), (502, True), (503, False), (504, True)],
)
def test_status_after_the_call_began_may_have_been_billed(status, maybe_billed):
    assert from_status(status).data["maybe_billed"] is maybe_billed


@pytest.mark.parametrize("status", [404, 405, 410])
def test_address_that_all_calls_have_is_for_the_operator(status):
    failure = from_status(status, one_address=True)

    assert (type(failure), failure.reason) == (Configuration, "not_an_api")


def test_job_that_would_wait_may_be_an_attempt_instead():
    failure = as_attempt(Postponed("rate_limited", retry_after=7.0))

    assert (type(failure), failure.data) == (Transient, {"reason": "rate_limited", "retry_after": 7.0})


def test_spending_of_a_job_that_would_wait_is_an_attempt():
    failure = with_spending(
        Postponed("rate_limited", retry_after=7.0), usage={"input_tokens": 5}, cost_usd=0.25
    )

    assert (type(failure), failure.data["retry_after"], failure.data["cost_usd"]) == (Transient, 7.0, 0.25)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "12"}, 12.0),
        ({"Retry-After": " 1.5 "}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "12"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "12"}, 12.0),
        ({"retry-after": "Tue, 14 Nov 2023 22:14:20 GMT"}, 60.0),
        ({"retry-after": "Tue, 14 Nov 2023 23:14:20 +0100"}, 60.0),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers, seconds):
    assert parse_retry_after(headers, clock=lambda: NOON) == seconds


@pytest.mark.parametrize("wish", ["-3", "Tue, 14 Nov 2023 22:00:00 GMT"])
def test_wish_that_is_already_over_means_now(wish):
    assert parse_retry_after({"retry-after": wish}, clock=lambda: NOON) == 0.0


@pytest.mark.parametrize("wish", ["", "soon", "nan", "inf", "1e999", "Wed, 21 Oct 99999 07:28:00 GMT"])
def test_unreadable_wish_is_no_wish(wish):
    assert parse_retry_after({"retry-after": wish}, clock=lambda: NOON) is None


def test_no_header_is_no_wish():
    assert parse_retry_after({}) is None


def test_spending_of_a_transient_failure_survives_pickling():
    failure = with_spending(
        Transient("truncated", retry_after=3.0, maybe_billed=True), usage={"input_tokens": 5}, cost_usd=0.25
    )

    copy = pickle.loads(pickle.dumps(failure))

    assert type(copy) is Transient
    assert isinstance(copy, Transient)
    assert (copy.reason, copy.kind, copy.retry_after, copy.maybe_billed) == (
        "truncated",
        "transient",
        3.0,
        True,
    )
    assert (copy.usage, copy.cost_usd) == ({"input_tokens": 5}, 0.25)


@pytest.mark.parametrize("kind", [Permanent, Configuration])
def test_spending_of_a_final_failure_survives_pickling(kind):
    failure = with_spending(kind("refused"), usage={"input_tokens": 5}, cost_usd=None)

    copy = pickle.loads(pickle.dumps(failure))

    assert type(copy) is kind
    assert copy.data == {"reason": "refused", "usage": {"input_tokens": 5}, "cost_usd": None}
