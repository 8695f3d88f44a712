from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from time import time

import openai
import pytest

from sandbox.outside.ledger import read
from tests.deadlines import stretched

pytestmark = [pytest.mark.integration, pytest.mark.long]


def ask(client):
    return client.responses.with_raw_response.create(model="gpt-6-luna", input="Ana: We ship on Friday.")


def refused(client):
    """Ask until the rate is used up; return the refusal."""
    try:
        for _ in range(100):
            ask(client)
    except openai.RateLimitError as exc:
        return exc
    pytest.fail("the rate is not used up")


def limits_in(headers):
    return {name: value for name, value in headers.items() if name.startswith("x-ratelimit")}


def test_calls_beyond_the_rate_are_refused_at_once_and_unpaid(stand_in):
    stand_in.set(llm_requests_per_second=0.01, llm_burst=3, llm_latency=0)
    with stand_in.openai() as client:
        refusal = refused(client)

    calls = read(stand_in.ledger).openai
    assert (3, 1) == (calls.answered, calls.refused)
    assert (429, "rate_limit_exceeded", "requests") == (refusal.status_code, refusal.code, refusal.type)
    assert "retry-after" not in refusal.response.headers


def test_rate_is_kept_whoever_asks_at_the_same_time(stand_in):
    stand_in.set(llm_requests_per_second=0.01, llm_burst=7)

    def answered(client):
        try:
            return bool(ask(client))
        except openai.RateLimitError:
            return False

    with stand_in.openai() as client, ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(answered, [client] * 40))

    assert 7 == sum(answers)


def test_call_beyond_the_rate_is_refused_while_others_are_held(stand_in):
    stand_in.set(llm_requests_per_second=0.01, llm_burst=1, hold=True)
    with stand_in.openai() as client, ThreadPoolExecutor(1) as pool:
        held = pool.submit(ask, client)
        stand_in.wait_for_held(1)
        try:
            refused(client.with_options(timeout=stretched(5)))
        finally:
            stand_in.set(hold=False)

        assert 200 == held.result(stretched(20)).http_response.status_code


@pytest.mark.parametrize(("wanted", "said"), [("seconds", "100"), (0, "0"), (0.5, "0.5"), (86400, "86400")])
def test_refusal_says_when_to_come_back_as_it_is_set(stand_in, wanted, said):
    stand_in.set(llm_requests_per_second=0.01, llm_retry_after=wanted)
    with stand_in.openai() as client:
        assert said == refused(client).response.headers["retry-after"]


def test_refusal_can_name_the_date_to_come_back(stand_in):
    stand_in.set(llm_requests_per_second=0.01, llm_retry_after="date")
    with stand_in.openai() as client:
        date = parsedate_to_datetime(refused(client).response.headers["retry-after"])

    assert 0 < date.timestamp() - time() < 102


def test_replies_count_the_rate_down_in_the_form_of_openai(stand_in):
    stand_in.set(llm_requests_per_second=0.01, llm_burst=2)
    with stand_in.openai() as client:
        answered = [limits_in(ask(client).headers) for _ in range(2)]
        last = limits_in(refused(client).response.headers)

    remaining = [headers["x-ratelimit-remaining-requests"] for headers in [*answered, last]]
    assert ["1", "0", "0"] == remaining
    assert {"x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"} == (
        set(last)
    )
    assert last["x-ratelimit-reset-requests"].startswith("3m")


@pytest.mark.parametrize("rate", [0, 50])
def test_service_can_say_nothing_about_its_rate(stand_in, rate):
    stand_in.set(llm_requests_per_second=rate, llm_rate_headers=False)
    with stand_in.openai() as client:
        assert {} == limits_in(ask(client).headers)


def test_rate_can_be_lifted_while_calls_run(stand_in):
    stand_in.set(llm_requests_per_second=0.01)
    with stand_in.openai() as client:
        refused(client)
        stand_in.set(llm_requests_per_second=0)

        assert 200 == ask(client).http_response.status_code


def test_background_call_beyond_the_rate_is_refused_where_it_is_created(stand_in):
    stand_in.set(llm_requests_per_second=0.01)
    with stand_in.openai() as client:
        refused(client)
        with pytest.raises(openai.RateLimitError):
            client.responses.create(model="m", input="x", background=True, store=True)


@pytest.mark.parametrize(
    "wanted",
    [
        {"llm_requests_per_second": -1},
        {"llm_retry_after": "soon"},
        {"llm_rate_headers": 1},
        {"llm_burst": "2"},
    ],
    ids=str,
)
def test_rate_that_cannot_be_is_refused_by_name(stand_in, wanted):
    answer = stand_in.http.post("/control", json=wanted)

    assert (400, True) == (answer.status_code, next(iter(wanted)) in answer.json()["error"]["message"])
