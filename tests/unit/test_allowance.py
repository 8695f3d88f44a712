from __future__ import annotations

import pytest

from askonce.pace import Allowance
from tasks.providers.allowance import parse_allowance


def headers(limit="60", remaining="59", reset="1s"):
    return {
        "X-RateLimit-Limit-Requests": limit,
        "x-ratelimit-remaining-requests": remaining,
        "x-ratelimit-reset-requests": reset,
    }


def test_headers_of_openai_are_read_for_requests():
    tokens = {
        "x-ratelimit-limit-tokens": "150000",
        "x-ratelimit-remaining-tokens": "149984",
        "x-ratelimit-reset-tokens": "6m0s",
    }

    assert parse_allowance(tokens | headers()) == Allowance(60.0, 59.0, 1.0)
    assert parse_allowance(tokens) is None


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("12ms", 0.012),
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("1h2m3.5s", 3723.5),
        ("1d", 86_400.0),
        ("2m59.56s", 179.56),
        ("250us", 0.00025),
        ("7", 7.0),
        (" 0 ", 0.0),
        ("", None),
        ("-1", None),
        ("soon", None),
        ("1s later", None),
        ("nan", None),
        ("1" * 400, None),
        ("1s" * 400, None),
    ],
)
def test_time_until_the_reset_is_read_in_all_its_forms(told, seconds):
    found = parse_allowance(headers(reset=told))

    assert found == (None if seconds is None else Allowance(60.0, 59.0, pytest.approx(seconds)))


@pytest.mark.parametrize("limit", ["0", "-1", "", "many", "nan", "inf"])
@pytest.mark.parametrize("remaining", ["0", "-1", "", "9"])
def test_limit_that_is_not_counted_is_unknown(limit, remaining):
    assert parse_allowance(headers(limit, remaining)) is None


def test_nothing_left_of_a_known_limit_is_nothing():
    assert parse_allowance(headers(remaining="0")) == Allowance(60.0, 0.0, 1.0)


def test_no_header_says_nothing():
    assert parse_allowance({}) is None
