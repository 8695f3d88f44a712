import json
from datetime import UTC, date, datetime

import pytest

from tasks.providers.openai.listed import findings_in

TODAY = date(2026, 11, 26)
MODEL = "gpt-6-luna"


def found(*models, **more):
    body = json.dumps({"object": "list", "data": list(models), **more}).encode()
    return [(each.name, each.severity) for each in findings_in(body, MODEL, TODAY)]


def seconds(day):
    return int(datetime.fromisoformat(f"{day}T00:00:00Z").astimezone(UTC).timestamp())


@pytest.mark.parametrize("name", [MODEL, f"models/{MODEL}", f"{MODEL}:latest"])
def test_model_that_is_listed_is_found(name):
    assert [] == found({"id": "other"}, {"id": name, "object": "model"})


@pytest.mark.parametrize(
    "models", [[], [{"id": "gpt-6"}], [{"name": MODEL}, 7, None, {"id": None}]], ids=repr
)
def test_model_that_is_not_listed_is_a_warning(models):
    assert [("listed", "warning")] == found(*models)


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>", b"[" * 50_000, b"[]", b"null", b'{"data": {}}', b'{"models": []}'],
    ids=lambda content: repr(content[:24]),
)
def test_reply_that_is_no_list_says_nothing(content):
    assert [] == findings_in(content, MODEL, TODAY)


def test_first_page_of_a_list_says_nothing_of_the_others():
    assert [] == found({"id": "other"}, has_more=True)


@pytest.mark.parametrize(
    "ends",
    [
        {"shutdown_date": "2027-02-24"},
        {"shutdown_date": "2026-01-01"},
        {"expiration_date": "2026-12-01"},
        {"deprecation": "2026-12-01T00:00:00Z"},
        {"deprecation": {"fine_tune": seconds("2026-01-01"), "inference": seconds("2027-01-05")}},
        {"shutdown_date": None, "expiration_date": "2026-12-01"},
    ],
    ids=str,
)
def test_model_that_ends_within_90_days_is_a_warning(ends):
    assert [("ends", "warning")] == found({"id": MODEL, **ends})


@pytest.mark.parametrize(
    "ends",
    [
        {"shutdown_date": "2027-02-25"},
        {"shutdown_date": None},
        {"shutdown_date": "soon"},
        {"shutdown_date": True},
        {"expiration_date": 10**30},
        {"deprecation": {"inference": "never"}},
        {"deprecation": {}},
        {"deprecated": True},
        {"retires": "2026-12-01"},
    ],
    ids=str,
)
def test_model_without_an_end_that_is_known_and_near_is_sound(ends):
    assert [] == found({"id": MODEL, **ends})


def test_end_of_a_model_is_told_as_a_date():
    body = json.dumps({"data": [{"id": MODEL, "shutdown_date": "2026-12-06"}]}).encode()

    [finding] = findings_in(body, MODEL, TODAY)

    assert f"{MODEL} ends on 2026-12-06, in 10 days, as its service says" == finding.text
    assert "OPENAI_MODEL" in finding.cure
