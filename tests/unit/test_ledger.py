import json
import threading

import pytest

from sandbox.outside.ledger import LedgerWriter, content_of, read


@pytest.fixture
def writer(tmp_path):
    return LedgerWriter(tmp_path, "openai", clock=lambda: 1_800_000_000.0)


def answer(writer, content, **more):
    writer.ended(writer.begun(content), status=200, **{"delivered": True, **more})


def test_service_without_a_file_was_never_called(tmp_path):
    ledger = read(tmp_path / "nowhere")

    assert (ledger.openai.calls, ledger.customers.calls) == (0, 0)


def test_services_are_counted_apart(tmp_path, writer):
    answer(writer, "a")
    answer(LedgerWriter(tmp_path, "customers"), "a")
    answer(writer, "b")

    ledger = read(tmp_path)

    assert (ledger.openai.answered, ledger.customers.answered) == (2, 1)


def test_second_answer_to_the_same_content_is_surplus(tmp_path, writer):
    answer(writer, "a")
    answer(writer, "a")
    answer(writer, "b")

    calls = read(tmp_path).openai

    assert calls.by_content == {"a": 2, "b": 1}
    assert calls.surplus == 1


@pytest.mark.parametrize("status", [400, 401, 404, 429, 503])
def test_refused_call_is_neither_answered_nor_surplus(tmp_path, writer, status):
    writer.ended(writer.begun("a"), status=status, delivered=True)
    answer(writer, "a")

    calls = read(tmp_path).openai

    assert (calls.calls, calls.answered, calls.refused, calls.surplus) == (2, 1, 1, 0)


def test_answer_without_a_reader_is_still_paid(tmp_path, writer):
    answer(writer, "a", delivered=False, input_tokens=70, output_tokens=20)
    answer(writer, "a", input_tokens=70, output_tokens=20)

    calls = read(tmp_path).openai

    assert (calls.undelivered, calls.answered, calls.surplus) == (1, 2, 1)
    assert (calls.input_tokens, calls.output_tokens) == (140, 40)


def test_call_without_an_end_is_in_flight(tmp_path, writer):
    writer.begun("a")
    answer(writer, "b")

    calls = read(tmp_path).openai

    assert (calls.calls, calls.in_flight) == (2, 1)


def test_lines_say_what_happened_and_nothing_else(tmp_path, writer):
    answer(writer, "a", input_tokens=7, output_tokens=2)

    begun, ended = map(json.loads, (tmp_path / "openai.jsonl").read_text().splitlines())

    shared = {"call": 1, "service": "openai", "content": "a", "at": 1_800_000_000.0}
    assert begun == {"event": "begun", **shared}
    assert ended == {
        "event": "ended",
        **shared,
        "status": 200,
        "delivered": True,
        "input_tokens": 7,
        "output_tokens": 2,
    }


def test_content_is_sixteen_hex_digits_of_any_prompt():
    content = content_of("gpt", "Ana: o segredo é este")

    assert len(content) == 16
    assert int(content, 16) >= 0


def test_content_separates_parts_that_join_to_the_same_text():
    assert content_of("ab", "c") != content_of("a", "bc")


def test_writer_counts_the_calls_of_a_content(writer):
    asked = [writer.begun(content).nth for content in ("a", "b", "a")]

    assert asked == [1, 1, 2]


def test_numbers_go_on_where_the_last_writer_stopped(tmp_path, writer):
    writer.begun("a")
    writer.begun("b")

    assert LedgerWriter(tmp_path, "openai").begun("c").number == 3


def test_half_a_line_at_the_end_is_no_call(tmp_path, writer):
    writer.begun("a")
    with (tmp_path / "openai.jsonl").open("a") as file:
        file.write('{"event": "begun", "call": 2')

    assert read(tmp_path).openai.calls == 1


def test_next_call_waits_until_the_line_of_this_one_is_written(tmp_path):
    second_wrote = threading.Event()

    def call_second():
        writer.begun("second")
        second_wrote.set()

    second = threading.Thread(target=call_second)

    def clock():
        # The writer asks for the time within a call: here is the chance for another one to get in between.
        if not second.ident:
            second.start()
            second_wrote.wait(0.2)
        return 0.0

    writer = LedgerWriter(tmp_path, "openai", clock=clock)
    writer.begun("first")
    second.join()

    lines = [json.loads(line) for line in (tmp_path / "openai.jsonl").read_text().splitlines()]
    assert [(line["call"], line["content"]) for line in lines] == [(1, "first"), (2, "second")]


def test_simultaneous_calls_keep_their_own_numbers_and_whole_lines(tmp_path, writer):
    start = threading.Barrier(8)

    def call_often():
        start.wait()
        for _ in range(50):
            answer(writer, "a")

    threads = [threading.Thread(target=call_often) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    lines = [json.loads(line) for line in (tmp_path / "openai.jsonl").read_text().splitlines()]
    assert sorted(line["call"] for line in lines if line["event"] == "begun") == list(range(1, 401))
    assert read(tmp_path).openai.answered == 400
