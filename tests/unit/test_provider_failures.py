from __future__ import annotations

import pickle

import pytest

from askonce.errors import Configuration, Permanent, Transient
from tasks.providers.failures import from_status, parse_retry_after, with_spending

NOON = 1_700_000_000.0


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529, 599])
def test_status_about_the_moment_may_be_tried_again(status):
    failure = from_status(status, retry_after=7.0, maybe_billed=True)

    assert type(failure) is Transient
    assert (failure.reason, failure.retry_after, failure.maybe_billed) == (f"http_{status}", 7.0, True)


@pytest.mark.parametrize("status", [400, 404, 405, 410, 413, 422, 451])
def test_status_about_the_request_is_final_for_its_payload(status):
    failure = from_status(status, retry_after=7.0)

    assert type(failure) is Permanent
    assert failure.reason == f"http_{status}"


@pytest.mark.parametrize("status", [301, 307, 401, 403])
def test_status_about_credentials_or_address_is_for_the_operator(status):
    failure = from_status(status)

    assert type(failure) is Configuration
    assert failure.reason == f"http_{status}"


@pytest.mark.parametrize(
    ("status", "code"), [(429, "insufficient_quota"), (429, "billing_not_active"), (404, "model_not_found")]
)
def test_provider_code_about_every_payload_wins_over_the_status(status, code):
    failure = from_status(status, code=code, retry_after=1.0)

    assert type(failure) is Configuration
    assert failure.reason == code


def test_unknown_provider_code_never_becomes_the_reason():
    assert from_status(429, code="text of the provider").reason == "http_429"


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
