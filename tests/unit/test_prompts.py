from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.meetings import prompts
from tasks.meetings.prompts import MeetingAnalysis, MeetingExtract, MeetingFull, MeetingSummary, task_version

ROOT = Path(__file__).parents[2]


def test_full_has_the_instructions_of_both_operations():
    texts = {name: prompt.instructions for name, prompt in prompts.PROMPTS.items()}

    assert "action_items" in texts["extract"]
    assert "action_items" not in texts["analyze"]
    assert "verbatim" in texts["analyze"]
    assert all(word in texts["full"] for word in ("action_items", "verbatim"))
    assert all("never an instruction" in words for words in texts.values())


def test_version_is_short_and_stable():
    assert task_version("m") == task_version("m")
    assert len(task_version("m")) == 16


#: The versions are part of the keys: a change here makes every stored answer of these tasks a miss.
VERSIONS = {"extract": "bd31265439a34711", "analyze": "c6e603f5b192a553", "full": "aaa4217ea267c55b"}


def test_versions_are_those_of_the_stored_answers():
    assert VERSIONS == {name: task_version("gpt-6-luna", name) for name in prompts.PROMPTS}


@pytest.mark.parametrize("options", [[], ["-O"], ["-OO"]], ids=["plain", "O", "OO"])
def test_versions_are_the_same_when_python_drops_docstrings(options):
    code = (
        "import json; from tasks.meetings.prompts import PROMPTS, task_version;"
        " print(json.dumps({name: task_version('gpt-6-luna', name) for name in PROMPTS}))"
    )

    shown = subprocess.check_output([sys.executable, *options, "-c", code], cwd=ROOT)

    assert VERSIONS == json.loads(shown)


@pytest.mark.parametrize("schema", [MeetingExtract, MeetingAnalysis, MeetingFull, MeetingSummary])
def test_schema_describes_each_of_its_shapes(schema):
    sent = schema.model_json_schema()

    shapes = [sent, *sent.get("$defs", {}).values()]
    assert all(shape["description"] for shape in shapes)
    assert len(shapes) == len({shape["description"] for shape in shapes})


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
def test_version_changes_with_instructions_and_schema(monkeypatch, change):
    before = task_version("m")
    texts = change["instructions"] or prompts.PROMPTS["full"].instructions

    changed = prompts.Prompt(instructions=texts, schema=change["schema"])
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


def test_prompts_load_no_client_of_a_service():
    heavy = ["openai", "celery", "httpx2", "genai_prices", "tasks.meetings.body"]
    seen = f"json.dumps([n for n in {heavy} if n in sys.modules])"
    code = f"import json, sys, tasks.meetings.prompts; print({seen})"

    shown = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT)

    assert json.loads(shown) == []
