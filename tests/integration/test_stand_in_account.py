import openai
import pytest

from sandbox.outside.ledger import read

pytestmark = [pytest.mark.integration, pytest.mark.long]

BODY = {"model": "m", "input": "x"}
KEY = {"Authorization": "Bearer sk-sandbox"}


def ask(client, model="gpt-6-luna"):
    return client.responses.create(model=model, input="Ana: We ship on Friday.")


def test_only_the_key_that_is_set_is_valid(stand_in):
    stand_in.set(llm_key="sk-only-this-one")
    with stand_in.openai("sk-only-this-one") as client:
        assert "completed" == ask(client).status
        assert ["sandbox-extractive-1"] == [model.id for model in client.models.list()]
    with stand_in.openai("sk-another-key-0") as client:
        for refused in (lambda: ask(client), client.models.list, lambda: client.models.retrieve("m")):
            with pytest.raises(openai.AuthenticationError) as caught:
                refused()

    assert "invalid_api_key" == caught.value.code
    assert "another" not in caught.value.message


def test_account_without_credit_refuses_questions_and_lists_models(stand_in):
    stand_in.set(llm_credit=False)
    with stand_in.openai() as client:
        with pytest.raises(openai.RateLimitError) as caught:
            ask(client)
        listed = client.models.list()
        stand_in.set(llm_credit=True)
        ask(client)

    assert "insufficient_quota" == caught.value.code
    assert 1 == len(listed.data)
    assert (1, 1) == (read(stand_in.ledger).openai.answered, read(stand_in.ledger).openai.refused)


def test_model_that_is_not_one_of_the_models_is_not_found(stand_in):
    stand_in.set(llm_models=["gpt-6-luna", "org/gpt-6-sol"])
    with stand_in.openai() as client:
        ask(client)
        with pytest.raises(openai.NotFoundError) as caught:
            ask(client, "gpt-6-lune")
        listed = [model.id for model in client.models.list()]
        one = client.models.retrieve("org/gpt-6-sol").id
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve("gpt-6-lune")

    assert "model_not_found" == caught.value.code
    assert (["gpt-6-luna", "org/gpt-6-sol"], "org/gpt-6-sol") == (listed, one)


def test_service_of_one_model_answers_for_any(stand_in):
    with stand_in.openai() as client:
        assert "sandbox-extractive-1" == ask(client, "any-model").model
        assert ["sandbox-extractive-1"] == [model.id for model in client.models.list()]


def test_service_need_not_list_its_models(stand_in):
    stand_in.set(llm_lists_models=False)
    with stand_in.openai() as client, pytest.raises(openai.NotFoundError):
        client.models.list()

    assert 0 == read(stand_in.ledger).openai.calls


@pytest.mark.parametrize(
    "path", ["/responses", "/chat/completions", "/v2/responses", "/api/v1/responses", "/"]
)
def test_wrong_base_path_answers_with_a_page(stand_in, path):
    answer = stand_in.http.post(path, json=BODY, headers=KEY)

    assert (404, "text/html; charset=utf-8") == (answer.status_code, answer.headers["content-type"])
    assert answer.text.startswith("<!DOCTYPE html>")
    assert not [name for name in answer.headers if name.startswith(("x-", "openai-"))]
    assert 0 == read(stand_in.ledger).openai.calls


def test_wrong_path_of_the_api_is_an_error_of_the_api(stand_in):
    answers = [
        stand_in.http.post("/v1/v1/responses", json=BODY, headers=KEY),
        stand_in.http.get("/v1/engines", headers=KEY),
    ]

    assert [404, 404] == [answer.status_code for answer in answers]
    assert {"invalid_request_error"} == {answer.json()["error"]["type"] for answer in answers}


@pytest.mark.parametrize("wanted", [{"llm_models": "m"}, {"llm_models": [1]}, {"llm_key": None}], ids=str)
def test_account_that_cannot_be_is_refused_by_name(stand_in, wanted):
    answer = stand_in.http.post("/control", json=wanted)

    assert (400, True) == (answer.status_code, next(iter(wanted)) in answer.json()["error"]["message"])
