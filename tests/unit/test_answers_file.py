import json
import re
from collections import Counter
from pathlib import Path

import pytest

from sandbox.outside.answers import AnswersInvalid, read

FILE = Path(__file__).parents[1] / "answers.jsonl"
ANSWERS = read(FILE)
#: The closed list of words for failures.
REASONS = {
    *("rate_limited", "overloaded", "unavailable", "connect_failed", "connection_lost", "timeout"),
    *("server_error", "gateway_gave_up", "context_length_exceeded", "content_policy", "invalid_request"),
    *("not_found", "conflict", "too_large", "invalid_key", "no_api_key", "no_permission", "no_credit"),
    *("model_not_found", "not_an_api", "redirected", "response_format_unsupported", "background_unsupported"),
    *("malformed_answer", "answer_does_not_fit", "truncated", "refused", "unfinished", "empty_answer"),
    *("reply_too_large", "reply_encoding_unsupported", "answers_unusable", "no_transcript", "blank_text"),
    "client_error",
}
#: What the file expects -> the word of the page for people.
OUTCOMES = {
    "park": "waits",
    "attempt": "attempt",
    "configuration": "operator",
    "permanent": "ends",
    "once_more": "attempt, paid",
}
LINE = {"name": "one", "status": 200, "body": {}, "expect": "answer"}


@pytest.fixture
def read_lines(tmp_path):
    def make(*lines):
        path = tmp_path / "answers.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return read(path)

    return make


def test_file_has_every_expectation_and_only_words_of_the_list():
    seen = Counter(answer.expect for answer in ANSWERS.values())

    assert len(ANSWERS) >= 60
    assert {"park", "attempt", "configuration", "permanent", "answer", "once_more"} == set(seen)
    assert [] == [name for name, answer in ANSWERS.items() if answer.reason not in {"", *REASONS}]


def test_page_of_refusals_says_what_the_file_expects():
    page = (FILE.parents[1] / "docs/refusals.md").read_text()
    told = dict(re.findall(r"^\| `([a-z_]+)` \| ([^|]+) \|", page, re.MULTILINE))
    failures = [answer for answer in ANSWERS.values() if answer.reason]

    assert [] == [each.name for each in failures if OUTCOMES[each.expect] not in told[each.reason]]


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_name_of_an_answer_says_its_status(answer):
    said = answer.name.partition("_")[0]

    assert not said.isdigit() or int(said) == answer.status


def test_body_is_sent_as_it_stands_in_the_file(read_lines):
    spaced = '{ "a":1,\r\n"b": "@ANSWER@"}'
    answers = read_lines({**LINE, "body": spaced}, {**LINE, "name": "two", "body": {"é": [1, None]}})

    assert b'{ "a":1,\r\n"b": "x \\"y\\""}' == answers["one"].content('x "y"')
    assert '{"é":[1,null]}'.encode() == answers["two"].content()


def test_text_has_the_ordinary_answer_as_it_is(read_lines):
    line = {"name": "one", "status": 200, "text": "```\n@ANSWER@\n```", "expect": "answer"}

    assert '```\n{"a":"b"}\n```' == read_lines(line)["one"].said('{"a":"b"}')


def test_header_can_name_a_time_from_now(read_lines):
    answer = read_lines({**LINE, "headers": {"Retry-After": "@DATE+30@", "x": "y"}})["one"]

    assert {"Retry-After": "Thu, 01 Jan 1970 00:01:30 GMT", "x": "y"} == answer.headers_at(60)


@pytest.mark.parametrize(
    "wrong",
    [
        {"speed": 1},
        {"expect": "luck"},
        {"form": "soap"},
        {"way": "sing"},
        {"text": "two of them"},
        {"reason": "an answer has none"},
        {"expect": "park"},
    ],
    ids=lambda wrong: "=".join(map(str, *wrong.items())),
)
def test_line_that_is_no_answer_is_named_by_its_number(read_lines, wrong):
    with pytest.raises(AnswersInvalid, match=r"answers\.jsonl:2: "):
        read_lines({**LINE, "name": "first"}, {**LINE, **wrong})


def test_name_that_was_used_before_is_refused(read_lines):
    with pytest.raises(AnswersInvalid, match=r"answers\.jsonl:2: one: "):
        read_lines(LINE, LINE)
