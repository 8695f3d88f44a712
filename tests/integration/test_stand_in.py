import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import openai
import pytest

from sandbox.outside.ledger import content_of, read
from tasks.meetings.prompts import MeetingExtract
from tests.deadlines import stretched

pytestmark = [pytest.mark.integration, pytest.mark.long]

ROOT = Path(__file__).parents[2]
TRANSCRIPT = (
    "Ana Lima: Decidimos trocar o fornecedor de embalagens.\n"
    "João Reis: Vou enviar a proposta até sexta-feira."
)
DEADLINE_SECONDS = 20


def respond(client, text=TRANSCRIPT, **more):
    return client.responses.with_raw_response.parse(
        model="gpt-6-luna",
        instructions="Extract.",
        input=text,
        text_format=MeetingExtract,
        store=False,
        **more,
    )


def complete(client, text=TRANSCRIPT):
    return client.chat.completions.with_raw_response.parse(
        model="gpt-6-luna",
        messages=[{"role": "system", "content": "Extract."}, {"role": "user", "content": text}],
        response_format=MeetingExtract,
    )


def until(condition):
    end, pause = time.monotonic() + stretched(DEADLINE_SECONDS), threading.Event()
    while not condition():
        assert time.monotonic() < end, "deadline passed"
        pause.wait(0.005)


def test_responses_client_parses_the_answer(stand_in):
    with stand_in.openai() as client:
        raw = respond(client)

    response = raw.parse()
    assert response.output_parsed.decisions == ["Decidimos trocar o fornecedor de embalagens."]
    assert response.output_parsed.action_items[0].owner == "João Reis"
    assert (response.status, response.model) == ("completed", "sandbox-extractive-1")
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
    assert response.usage.input_tokens_details.cached_tokens == 0
    assert raw.headers["x-request-id"].startswith("req_")
    assert int(raw.headers["x-ratelimit-remaining-requests"]) > 0


def test_chat_client_parses_the_same_answer(stand_in):
    with stand_in.openai() as client:
        completion = complete(client).parse()
        response = respond(client).parse()

    assert completion.choices[0].message.parsed == response.output_parsed
    assert completion.usage.prompt_tokens == response.usage.input_tokens
    assert completion.usage.completion_tokens == response.usage.output_tokens


def test_both_forms_of_one_question_are_one_content(stand_in):
    with stand_in.openai() as client:
        respond(client)
        complete(client)

    calls = read(stand_in.ledger).openai
    content = content_of("gpt-6-luna", "Extract.", TRANSCRIPT, "MeetingExtract")
    assert calls.by_content == {content: 2}
    assert calls.surplus == 1


def test_ledger_has_the_tokens_of_the_reply(stand_in):
    with stand_in.openai() as client:
        usage = respond(client).parse().usage

    calls = read(stand_in.ledger).openai
    assert (calls.input_tokens, calls.output_tokens) == (usage.input_tokens, usage.output_tokens)


def test_ledger_never_holds_a_prompt(stand_in):
    with stand_in.openai() as client:
        respond(client, "Zoraide Quimera: O segredo fica aqui.")

    assert "Zoraide" not in (stand_in.ledger / "openai.jsonl").read_text("utf-8")


def test_wrong_key_is_an_authentication_error(stand_in):
    with stand_in.openai("sk-invalid") as client, pytest.raises(openai.AuthenticationError) as caught:
        respond(client)

    assert caught.value.code == "invalid_api_key"


def test_missing_key_is_refused(stand_in):
    answer = stand_in.http.post("/v1/responses", json={"model": "m", "input": "x"})

    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "invalid_request_error")


def test_empty_account_differs_from_a_rate_limit(stand_in):
    with stand_in.openai("sk-no-quota") as client, pytest.raises(openai.RateLimitError) as caught:
        respond(client)

    assert caught.value.code == "insufficient_quota"


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"model": "m"}', b'{"model": "m", "input": "x", "stream": true}']
)
def test_request_that_cannot_be_read_is_refused_and_counted(stand_in, body):
    answer = stand_in.http.post("/v1/responses", content=body, headers={"Authorization": "Bearer sk-sandbox"})

    assert answer.status_code == 400
    assert read(stand_in.ledger).openai.refused == 1


def test_seeded_model_failures_say_when_to_come_back(stand_in):
    stand_in.set(llm_failure_rate=1.0)
    failures = []
    with stand_in.openai() as client:
        for number in range(20):
            with pytest.raises(openai.APIStatusError) as caught:
                respond(client, f"Ana: Texto número {number}.")
            failures.append(caught.value)

    assert {failure.status_code for failure in failures} == {429, 503}
    assert {failure.response.headers["retry-after"] for failure in failures} == {"1"}
    assert "insufficient_quota" not in {failure.code for failure in failures}


def test_seeded_model_errors_are_of_the_server(stand_in):
    stand_in.set(llm_error_rate=1.0)

    with stand_in.openai() as client, pytest.raises(openai.InternalServerError):
        respond(client, "Ana: Texto.")

    assert read(stand_in.ledger).openai.refused == 1


def test_customer_is_answered_as_the_row_of_the_file(stand_in):
    answer = stand_in.http.get("/customers/4")

    assert answer.status_code == 200
    assert answer.json() == {
        "cliente_id": 4,
        "cliente_nome": "Dalton Rezende",
        "empresa": "Mercado Boa Praça",
        "email": "dalton.rezende@example.com",
        "cidade": "Belo Horizonte",
        "pais": "Brasil",
    }


def test_unknown_customer_is_not_found(stand_in):
    assert stand_in.http.get("/customers/999").status_code == 404
    assert read(stand_in.ledger).customers.refused == 1


def test_every_sample_order_names_a_known_customer(stand_in):
    lines = (ROOT / "sandbox" / "samples" / "orders.jsonl").read_text("utf-8").splitlines()
    wanted = {json.loads(line)["cliente_id"] for line in lines}

    answers = [stand_in.http.get(f"/customers/{cliente_id}").status_code for cliente_id in wanted]

    assert (len(lines), answers) == (60, [200] * 15)


def test_failures_repeat_with_the_seed_and_differ_by_attempt(stand_in, stand_in_command, tmp_path):
    stand_in.set(failure_rate=0.5)
    first = [stand_in.http.get("/customers/1").status_code for _ in range(30)]
    command = stand_in_command(tmp_path / "second", "--failure-rate", "0.5")
    with (
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process,
        httpx2.Client() as http,
    ):
        url = json.loads(process.stdout.readline())["customer_api_url"]
        second = [http.get(f"{url}/customers/1").status_code for _ in range(30)]
        process.terminate()

    assert second == first
    assert set(first) == {200, 503}


def test_held_call_is_begun_and_ends_when_let_go(stand_in):
    stand_in.set(hold=True)
    with ThreadPoolExecutor() as pool, httpx2.Client(timeout=stretched(DEADLINE_SECONDS)) as http:
        waiting = pool.submit(http.get, f"{stand_in.url}/customers/1")
        stand_in.wait_for_held(1)
        during = read(stand_in.ledger).customers
        stand_in.set(hold=False)
        answer = waiting.result(stretched(DEADLINE_SECONDS))

    assert (during.calls, during.in_flight) == (1, 1)
    assert answer.status_code == 200
    assert read(stand_in.ledger).customers.answered == 1
    stand_in.wait_for_held(0)


def test_answer_to_a_killed_client_is_paid_and_undelivered(stand_in):
    stand_in.set(hold=True)
    code = f"import urllib.request; urllib.request.urlopen('{stand_in.url}/customers/1')"
    with subprocess.Popen([sys.executable, "-c", code]) as client:
        stand_in.wait_for_held(1)
        client.kill()
    stand_in.set(hold=False)

    until(lambda: read(stand_in.ledger).customers.in_flight == 0)

    calls = read(stand_in.ledger).customers
    assert (calls.answered, calls.undelivered) == (1, 1)


def test_answer_in_hand_is_always_in_the_ledger(stand_in):
    for asked in range(1, 101):
        stand_in.http.get("/customers/1")

        assert read(stand_in.ledger).customers.answered == asked


def test_latency_is_per_service(stand_in):
    stand_in.set(llm_latency=0.3)

    start = time.monotonic()
    stand_in.http.get("/customers/1")
    lookup_seconds = time.monotonic() - start
    with stand_in.openai() as client:
        start = time.monotonic()
        respond(client)
        model_seconds = time.monotonic() - start

    assert lookup_seconds < stretched(0.3)
    assert 0.3 <= model_seconds


@pytest.mark.parametrize(
    "wanted", [{"speed": 1}, {"hold": 1}, {"failure_rate": 2}, {"latency": -1}, {"latency": "1"}]
)
def test_impossible_setting_is_refused_and_changes_nothing(stand_in, wanted):
    before = stand_in.http.get("/control").json()

    answer = stand_in.http.post("/control", json={"seed": 9, **wanted})

    assert answer.status_code == 400
    assert next(iter(wanted)) in answer.json()["error"]["message"]
    assert stand_in.http.get("/control").json() == before


def test_two_hundred_clients_at_once_are_all_served(stand_in):
    stand_in.set(hold=True)

    limits = httpx2.Limits(max_connections=200)
    with (
        httpx2.Client(timeout=stretched(DEADLINE_SECONDS), limits=limits) as http,
        ThreadPoolExecutor(200) as pool,
    ):
        asked = [pool.submit(http.get, f"{stand_in.url}/customers/1") for _ in range(200)]
        stand_in.wait_for_held(200)
        stand_in.set(hold=False)
        answers = [future.result(stretched(DEADLINE_SECONDS)).status_code for future in asked]

    assert answers == [200] * 200
    assert read(stand_in.ledger).customers.undelivered == 0


def test_health_is_no_call(stand_in):
    assert stand_in.http.get("/healthz").status_code == 200
    assert read(stand_in.ledger).customers.calls == 0
