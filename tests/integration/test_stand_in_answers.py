import json
import socket
import subprocess
import zlib
from pathlib import Path

import httpx2
import openai
import pytest

from sandbox.outside.answers import read as read_answers
from sandbox.outside.ledger import read
from sandbox.outside.ways import BOMB, LASTING, SHORT

pytestmark = [pytest.mark.integration, pytest.mark.long]

ROOT = Path(__file__).parents[2]
ANSWERS = read_answers(ROOT / "tests" / "answers.jsonl")
KEY = {"Authorization": "Bearer sk-sandbox"}
ORDINARY = "We ship on Friday."
ORDERLY = {name: answer for name, answer in ANSWERS.items() if not answer.way}


def post(stand_in, text="Ana: We ship on Friday. ROW-1", form="responses", **options):
    if form == "chat":
        path, body = "/v1/chat/completions", {"messages": [{"role": "user", "content": text}]}
    else:
        path, body = "/v1/responses", {"input": text}
    return stand_in.http.post(path, json={"model": "gpt-6-luna", **body}, headers=KEY, **options)


def texts(answers):
    return [answer.json()["output"][0]["content"][0]["text"] for answer in answers]


def test_marked_row_gets_its_answers_and_then_the_ordinary_one(stand_in):
    stand_in.set(script={"ROW-1": ["429_retry_after_seconds", "503_bare", "200_fence"]})

    other = post(stand_in, "Ana: We ship on Friday. ROW-2")
    answers = [post(stand_in) for _ in range(5)]

    assert [429, 503, 200, 200, 200] == [answer.status_code for answer in answers]
    assert "2" == answers[0].headers["retry-after"]
    last = texts([other])[0]
    assert [f"```\n{ORDINARY} ROW-1\n```\n", *[f"{ORDINARY} ROW-1"] * 2] == texts(answers[2:])
    assert f"{ORDINARY} ROW-2" == last


def test_last_answer_before_a_star_is_given_for_ever(stand_in):
    stand_in.set(script={"ROW-1": ["500_page", "401_openai", "*"]})

    assert [500, 401, 401, 401] == [post(stand_in).status_code for _ in range(4)]


def test_script_that_is_set_again_begins_from_its_start(stand_in):
    script = {"ROW-1": ["500_page"]}
    stand_in.set(script=script)
    first = [post(stand_in).status_code for _ in range(2)]
    stand_in.set(llm_latency=0)
    between = post(stand_in).status_code
    stand_in.set(script=script)

    assert ([500, 200], 200, 500) == (first, between, post(stand_in).status_code)


def test_two_markers_in_one_row_take_their_turns(stand_in):
    stand_in.set(script={"ROW": ["500_page"], "ROW-1": ["401_openai"]})

    assert [500, 401, 200] == [post(stand_in).status_code for _ in range(3)]


@pytest.mark.parametrize("answer", ORDERLY.values(), ids=ORDERLY)
def test_answer_arrives_as_it_stands_in_the_file(stand_in_of_all, answer):
    form = "chat" if answer.form == "chat" else "responses"
    stand_in_of_all.set(script={"ROW-1": [answer.name]})

    # Its encoding and its redirect are for the client to refuse, not for this one to follow.
    with stand_in_of_all.http.stream(
        "POST", "/v1/chat/completions" if form == "chat" else "/v1/responses", headers=KEY, json=body_of(form)
    ) as got:
        raw = b"".join(got.iter_raw())

    assert answer.status == got.status_code
    fixed = {name: value for name, value in answer.headers.items() if "@" not in value}
    assert fixed == {name: got.headers[name] for name in fixed}
    if answer.text is None:
        assert answer.content(f"{ORDINARY} ROW-1") == raw
        assert not [name for name in got.headers if name.startswith("openai-")]
    else:
        assert answer.said(f"{ORDINARY} ROW-1") == text_in(json.loads(raw))


def body_of(form):
    text = f"Ana: {ORDINARY} ROW-1"
    given = {"messages": [{"role": "user", "content": text}]} if form == "chat" else {"input": text}
    return {"model": "gpt-6-luna", **given}


def text_in(body):
    if "choices" in body:
        return body["choices"][0]["message"]["content"]
    return body["output"][0]["content"][0]["text"]


@pytest.fixture(scope="module")
def stand_in_of_all(tmp_path_factory, stand_in_started):
    with stand_in_started(tmp_path_factory.mktemp("ledger")) as running:
        yield running


def test_answer_is_paid_where_its_status_is_200(stand_in):
    stand_in.set(script={"ROW-1": ["200_without_usage_responses", "500_page"]})
    [post(stand_in) for _ in range(2)]

    calls = read(stand_in.ledger).openai
    assert (1, 1) == (calls.answered, calls.refused)
    assert calls.input_tokens > 0
    assert calls.output_tokens > 0


def test_answer_by_name_waits_and_is_held_like_every_other(stand_in):
    stand_in.set(hold=True, script={"ROW-1": ["500_page"]})
    with pytest.raises(httpx2.ReadTimeout):
        post(stand_in, timeout=0.2)

    stand_in.wait_for_held(1)


@pytest.mark.parametrize("way", SHORT)
def test_short_way_ends_the_connection_and_is_paid(stand_in, way):
    name = next(name for name, answer in ANSWERS.items() if answer.way == way)
    stand_in.set(script={"ROW-1": [name]})
    with pytest.raises(httpx2.TransportError) as caught:
        post(stand_in)

    calls = read(stand_in.ledger).openai
    assert not isinstance(caught.value, httpx2.TimeoutException)
    assert (1, 1, 0) == (calls.answered, calls.undelivered, calls.in_flight)


@pytest.mark.parametrize("way", LASTING)
def test_lasting_way_ends_when_the_client_leaves(stand_in, way, eventually):
    name = next(name for name, answer in ANSWERS.items() if answer.way == way and answer.status == 200)
    stand_in.set(script={"ROW-1": [name]})
    raw = json.dumps(body_of("responses")).encode()
    head = f"POST /v1/responses HTTP/1.1\r\nAuthorization: Bearer k\r\nContent-Length: {len(raw)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", int(stand_in.url.rpartition(":")[2])), 20) as connection:
        connection.sendall(head.encode() + raw)
        eventually(lambda: stand_in.state["open"] == 1)
        if way != "hold":
            assert b"HTTP/1.1 200 OK" == connection.recv(15)
        assert 1 == read(stand_in.ledger).openai.in_flight

    eventually(lambda: read(stand_in.ledger).openai.in_flight == 0)
    assert (1, 1) == (read(stand_in.ledger).openai.answered, read(stand_in.ledger).openai.undelivered)


def test_gzip_bomb_is_small_on_its_way_and_large_when_it_is_unpacked(stand_in):
    stand_in.set(script={"ROW-1": [BOMB]})
    with stand_in.http.stream("POST", "/v1/responses", headers=KEY, json=body_of("responses")) as got:
        raw = b"".join(got.iter_raw())

    unpacking = zlib.decompressobj(wbits=31)
    size = len(unpacking.decompress(raw, 1_000_000))
    while unpacking.unconsumed_tail:
        size += len(unpacking.decompress(unpacking.unconsumed_tail, 1_000_000))
    assert (b"gzip", True) == (got.headers["content-encoding"].encode(), len(raw) < 400_000)
    assert size > 300_000_000
    assert 1 == read(stand_in.ledger).openai.answered


def test_background_answer_by_name_is_made_later_and_a_refusal_at_once(stand_in, eventually):
    stand_in.set(script={"ROW-1": ["401_openai", "200_fence", "200_cut_by_length_responses"]})

    def create(client):
        text = f"Ana: {ORDINARY} ROW-1"
        return client.responses.create(model="gpt-6-luna", input=text, background=True, store=True)

    def ended(client, created):
        return eventually(
            lambda: (
                (seen := client.responses.retrieve(created.id)).status not in ("queued", "in_progress")
                and seen
            )
        )

    with stand_in.openai() as client:
        with pytest.raises(openai.AuthenticationError):
            create(client)
        fenced, cut = ended(client, create(client)), ended(client, create(client))

    assert ("completed", f"```\n{ORDINARY} ROW-1\n```\n") == (fenced.status, fenced.output_text)
    assert ("incomplete", "max_output_tokens") == (cut.status, cut.incomplete_details.reason)


@pytest.mark.parametrize(
    "script",
    [{"ROW-1": ["no_such_answer"]}, {"ROW-1": "500_page"}, ["500_page"], {"ROW-1": [1]}],
    ids=["unknown name", "no list", "no object", "no name"],
)
def test_script_that_cannot_be_played_is_refused_and_changes_nothing(stand_in, script):
    before = stand_in.state
    answer = stand_in.http.post("/control", json={"seed": 9, "script": script})

    assert (400, True) == (answer.status_code, "script" in answer.json()["error"]["message"])
    assert before == stand_in.state


def test_file_that_cannot_be_used_is_named_before_anything_starts(stand_in_command, tmp_path):
    (tmp_path / "answers.jsonl").write_text('{"name": "one"}\n')
    options = ["--answers", tmp_path / "answers.jsonl"]
    ended = subprocess.run(
        stand_in_command(tmp_path, *options), cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (2, True) == (ended.returncode, "answers.jsonl:1: " in ended.stderr.splitlines()[-1])
