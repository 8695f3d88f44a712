import socket

import openai
import pytest

from sandbox.outside.ledger import read
from sandbox.outside.process import Outside

pytestmark = [pytest.mark.integration, pytest.mark.long]


@pytest.fixture
def outside(tmp_path):
    with Outside(tmp_path / "ledger", {"failure_rate": 0, "seed": 3}) as outside:
        yield outside


def ask(url):
    with openai.OpenAI(base_url=f"{url}/v1", api_key="sk-sandbox", max_retries=0) as client:
        return client.responses.create(model="gpt-6-luna", input="Ana: We ship on Friday.")


def test_bare_503_says_nothing_about_its_end(stand_in):
    stand_in.set(llm_down="refuse_503")
    with pytest.raises(openai.InternalServerError) as caught:
        ask(stand_in.url)

    headers = caught.value.response.headers
    assert (503, False) == (caught.value.status_code, "retry-after" in headers)
    assert (0, 1) == (read(stand_in.ledger).openai.answered, read(stand_in.ledger).openai.refused)


@pytest.mark.parametrize(("way", "seen"), [("close", b""), ("reset", ConnectionResetError)])
def test_connection_ends_before_the_first_byte(stand_in, way, seen):
    stand_in.set(llm_down=way)
    request = b'{"model": "m", "input": "x"}'
    head = f"POST /v1/responses HTTP/1.1\r\nAuthorization: Bearer k\r\nContent-Length: {len(request)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", int(stand_in.url.rpartition(":")[2])), 20) as connection:
        connection.sendall(head.encode() + request)
        try:
            got = connection.recv(1)
        except ConnectionResetError as exc:
            got = type(exc)

    calls = read(stand_in.ledger).openai
    assert seen == got
    assert (0, 1, 1, 0) == (calls.answered, calls.refused, calls.undelivered, calls.in_flight)


def test_outage_is_one_of_the_model_only_and_ends_when_it_is_told(stand_in):
    stand_in.set(llm_down="close")
    customer = stand_in.http.get("/customers/1").status_code
    with pytest.raises(openai.APIConnectionError), stand_in.openai() as client:
        client.models.list()
    stand_in.set(llm_down="")

    assert 200 == customer
    assert "completed" == ask(stand_in.url).status


def test_stopped_service_refuses_connections_and_comes_back_at_its_address(outside, tmp_path):
    ask(outside.url)
    outside.stop()
    with pytest.raises(openai.APIConnectionError) as caught:
        ask(outside.url)
    outside.start()
    ask(outside.url)

    assert "refused" in str(caught.value.__cause__)
    assert (2, 1) == (read(tmp_path / "ledger").openai.answered, read(tmp_path / "ledger").openai.surplus)


def test_killed_service_comes_back_with_the_settings_that_it_had(outside):
    outside.control(llm_slots=4, hold=True, reset_most_open=True)
    outside.kill()
    outside.start()

    state = outside.control()
    assert (4, True, 3, 0) == (state["llm_slots"], state["hold"], state["seed"], state["failure_rate"])


def test_settings_go_back_to_what_they_were_at_the_first_start(outside):
    first = outside.control()
    outside.control(llm_down="reset", seed=4, failure_rate=1, script={})
    outside.stop()
    outside.start()
    outside.reset()

    assert first == outside.control()


def test_setting_that_was_refused_is_not_kept_for_the_next_start(outside):
    with pytest.raises(OSError, match="400"):
        outside.control(llm_slots=-1)
    outside.stop()
    outside.start()

    assert 0 == outside.control()["llm_slots"]


@pytest.mark.parametrize("way", ["gone", True, 503])
def test_outage_that_cannot_be_is_refused_by_name(stand_in, way):
    answer = stand_in.http.post("/control", json={"llm_down": way})

    assert (400, True) == (answer.status_code, "llm_down" in answer.json()["error"]["message"])
