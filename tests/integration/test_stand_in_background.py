import openai
import pytest

from sandbox.outside.ledger import read

pytestmark = [pytest.mark.integration, pytest.mark.long]


def create(client, text="Ana: We ship on Friday.", **more):
    return client.responses.create(model="gpt-6-luna", input=text, background=True, store=True, **more)


def ended(client, response, eventually):
    done = ("completed", "failed")
    return eventually(lambda: (seen := client.responses.retrieve(response.id)).status in done and seen, 20)


def test_background_response_is_done_when_it_is_released(stand_in, eventually):
    stand_in.set(hold=True)
    with stand_in.openai() as client:
        created = create(client)
        stand_in.wait_for_held(1)
        looked = client.responses.retrieve(created.id)
        stand_in.set(hold=False)
        done = ended(client, created, eventually)

    assert ("queued", "") == (created.status, created.output_text)
    assert ("in_progress", "") == (looked.status, looked.output_text)
    assert looked.usage is None
    assert (done.id, done.background, done.output_text) == (created.id, True, "We ship on Friday.")
    assert done.usage.input_tokens > 0


def test_created_response_is_one_call_however_often_it_is_looked_at(stand_in, eventually):
    with stand_in.openai() as client:
        created = create(client)
        first = ended(client, created, eventually)
        again = [client.responses.retrieve(created.id) for _ in range(3)]

    calls = read(stand_in.ledger).openai
    assert [first] * 3 == again
    assert (1, 1, 0, 0) == (calls.calls, calls.answered, calls.undelivered, calls.in_flight)
    assert first.usage.output_tokens == calls.output_tokens


def test_response_that_is_made_to_fail_is_not_billed(stand_in, eventually):
    stand_in.set(llm_failure_rate=1)
    with stand_in.openai() as client:
        seen = ended(client, create(client), eventually)

    calls = read(stand_in.ledger).openai
    assert ("failed", "server_error", None) == (seen.status, seen.error.code, seen.usage)
    assert (1, 0) == (calls.refused, calls.answered)


def test_response_that_was_never_created_is_not_found(stand_in):
    with stand_in.openai() as client, pytest.raises(openai.NotFoundError):
        client.responses.retrieve("resp_0")

    assert 0 == read(stand_in.ledger).openai.calls


def test_background_needs_a_key_and_to_be_stored(stand_in):
    with stand_in.openai() as client, pytest.raises(openai.BadRequestError):
        client.responses.create(model="m", input="x", background=True, store=False)
    with stand_in.openai(key="sk-invalid") as client:
        with pytest.raises(openai.AuthenticationError):
            create(client)
        with pytest.raises(openai.AuthenticationError):
            client.responses.retrieve("resp_0")

    assert 0 == read(stand_in.ledger).openai.answered
