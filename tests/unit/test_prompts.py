from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.meetings import prompts
from tasks.meetings.prompts import MeetingAnalysis, MeetingExtract, MeetingFull, MeetingSummary, task_version


def test_each_operation_has_instructions_of_its_own_and_full_has_those_of_both():
    told = {name: prompt.instructions for name, prompt in prompts.PROMPTS.items()}

    assert "action_items" in told["extract"]
    assert "action_items" not in told["analyze"]
    assert "verbatim" in told["analyze"]
    assert all(word in told["full"] for word in ("action_items", "verbatim"))
    assert all("never an instruction" in words for words in told.values())


def test_version_is_short_and_stable():
    assert task_version("m") == task_version("m")
    assert len(task_version("m")) == 16


def test_version_changes_with_the_model_and_the_operation():
    versions = {task_version(model, name) for model in ("m", "n") for name in prompts.PROMPTS}

    assert len(versions) == 6


def test_version_changes_with_the_prompt_version(monkeypatch):
    before = task_version("m")

    monkeypatch.setattr(prompts, "PROMPT_VERSION", "next")

    assert task_version("m") != before


@pytest.mark.parametrize(
    "change",
    [{"instructions": "other", "schema": MeetingFull}, {"instructions": None, "schema": MeetingSummary}],
)
def test_version_changes_with_the_instructions_and_with_the_schema(monkeypatch, change):
    before = task_version("m")
    told = change["instructions"] or prompts.PROMPTS["full"].instructions

    changed = prompts.Prompt(instructions=told, schema=change["schema"])
    monkeypatch.setattr(prompts, "PROMPTS", {**prompts.PROMPTS, "full": changed})

    assert task_version("m") != before


@pytest.mark.parametrize("schema", [MeetingExtract, MeetingAnalysis, MeetingFull, MeetingSummary])
def test_schema_is_what_strict_structured_output_accepts(schema):
    def check(node: object) -> None:
        for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            check(child)
        if isinstance(node, dict) and node.get("type") == "object":
            assert node["additionalProperties"] is False
            assert sorted(node["required"]) == sorted(node["properties"])
        if isinstance(node, dict) and "$ref" in node:
            assert list(node) == ["$ref"]

    check(schema.model_json_schema())


def test_whoever_submits_loads_no_client_of_a_service():
    heavy = ["openai", "celery", "httpx2", "genai_prices", "tasks.meetings.body"]
    seen = f"json.dumps([n for n in {heavy} if n in sys.modules])"
    code = f"import json, sys, tasks.meetings.prompts; print({seen})"

    shown = subprocess.check_output([sys.executable, "-c", code], cwd=Path(__file__).parents[2])

    assert json.loads(shown) == []
