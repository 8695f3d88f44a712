"""What the answers of real services mean, and that none of their words is kept."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from askonce.errors import Configuration, Permanent, Postponed, Transient
from tasks.providers.openai.failures import failure_in
from tasks.reasons import CURES, cure_of
from tests.unit.real_refusals import REFUSALS
from tests.unit.refusal_bodies import body_of

ROOT = Path(__file__).parents[2]
#: The class of a failure in the page's words.
OUTCOMES = {Postponed: "waits", Transient: "attempt", Permanent: "ends", Configuration: "operator"}
#: Every attempt after one of these may pay a second time.
MAYBE_PAID = {
    *("timeout", "connection_lost", "server_error", "gateway_gave_up"),
    *("malformed_answer", "truncated"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_answer_of_a_real_service_has_its_meaning(name):
    status, headers, body, kind, reason, wish = REFUSALS[name]

    failure = failure_in(status, headers, body_of(body))

    assert (kind, reason) == (type(failure), failure.reason)
    assert wish == failure.data.get("retry_after")
    assert (reason in MAYBE_PAID) is bool(failure.data.get("maybe_billed"))


@pytest.mark.parametrize("name", REFUSALS)
def test_failure_holds_words_of_the_closed_list_only(name):
    status, headers, body, *_ = REFUSALS[name]

    failure = failure_in(status, headers, body_of(body))

    assert failure.data.keys() <= {"reason", "retry_after", "maybe_billed"}
    assert failure.reason in CURES or failure.reason == f"http_{status}"


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 50_000,
        b"\xff\xfe\x00",
        b"null",
        b"[]",
        b'{"error": null}',
        b'{"error": [1]}',
        b'{"error": {"code": {"a": 1}, "param": 7, "message": ["x"], "details": "x"}}',
        b'{"detail": [{"loc": "x", "msg": 1}, 7]}',
        b'{"error": {"message": "' + b"x" * 200_000 + b'"}}',
    ],
    ids=lambda body: repr(body[:24]),
)
@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
def test_body_of_any_form_is_no_more_than_its_status(status, body):
    expected = {
        400: "invalid_request",
        404: "not_an_api",
        429: "rate_limited",
        500: "server_error",
        503: "unavailable",
    }

    assert expected[status] == failure_in(status, {}, body).reason


def test_words_beyond_the_first_four_kib_are_not_compared():
    far = {"error": {"message": "x" * 5000 + " maximum context length"}}
    near = {"error": {"message": "x" * 3000 + " maximum context length"}}

    assert "invalid_request" == failure_in(400, {}, body_of(far)).reason
    assert "context_length_exceeded" == failure_in(400, {}, body_of(near)).reason


def test_payload_that_a_service_repeats_changes_no_meaning():
    repeated = {"detail": [{"loc": ["body", "x"], "msg": "bad", "input": "insufficient_quota json_schema"}]}

    assert "invalid_request" == failure_in(422, {}, body_of(repeated)).reason


@pytest.mark.parametrize("body", ["", {"detail": "Not Found"}], ids=repr)
def test_response_that_is_not_found_by_its_id_is_no_wrong_address(body):
    failure = failure_in(404, {}, body_of(body), is_reading=True)

    assert (Permanent, "not_found") == (type(failure), failure.reason)


def test_page_in_place_of_a_response_says_nothing_of_it():
    failure = failure_in(404, {}, b"<html>404 model</html>", is_reading=True)

    assert (Transient, "gateway_gave_up") == (type(failure), failure.reason)


def test_every_reason_has_a_cure_in_one_line():
    assert [reason for reason, cure in CURES.items() if not cure or "\n" in cure or len(cure) > 120] == []


@pytest.mark.parametrize(
    ("reason", "names"),
    [
        ("context_length_exceeded", "LLM_MAX_INPUT_CHARS"),
        ("invalid_key", "OPENAI_API_KEY_FILE"),
        ("not_an_api", "/v1"),
        ("answer_does_not_fit@sentiment.score:less_than_equal", "schema"),
    ],
)
def test_cure_names_what_to_change(reason, names):
    assert names in cure_of(reason)


def test_cure_of_a_quarantined_job_is_a_command_that_exists():
    from askonce.cli.dead import dead

    cure = cure_of("timeout", kind="quarantined", key="abc123")

    assert cure.startswith(CURES["timeout"])
    [verb] = re.findall(r"python -m producer dead (\w+) abc123$", cure)
    assert verb in dead.commands


@pytest.mark.parametrize("reason", CURES)
def test_cure_of_a_job_given_up_promises_nothing_that_happens_by_itself(reason):
    assert "Nothing to do" not in cure_of(reason, kind="quarantined")
    assert "by itself" not in cure_of(reason, kind="permanent")


def test_reason_that_is_not_in_the_list_has_no_cure():
    assert "" == cure_of("http_451")
    assert cure_of("KeyError@body.py:7", kind="quarantined").endswith("dead replay ID")


def test_page_has_every_reason_with_its_cure():
    page = (ROOT / "docs/refusals.md").read_text()
    rows = re.findall(r"^\| `([a-z_]+)` \| [^|]+ \| ([^|]+) \|$", page, re.MULTILINE)

    assert dict(CURES) == dict(rows)


def test_page_says_what_each_refusal_leads_to():
    page = (ROOT / "docs/refusals.md").read_text()
    told = dict(re.findall(r"^\| `([a-z_]+)` \| ([^|]+) \|", page, re.MULTILINE))

    for status, _headers, body, kind, reason, _wish in REFUSALS.values():
        if reason in CURES:
            assert OUTCOMES[kind] in told[reason], (status, json.dumps(body))
