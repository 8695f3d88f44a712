import re
import shlex
from dataclasses import replace
from pathlib import Path

import click
import pytest
from pydantic import SecretStr

from askonce.cli.plugin import askonce
from askonce.cli.verbs import VERBS
from askonce.key import identify
from settings.environment import Settings
from tests import events_page

ROOT = Path(__file__).parents[2]
TABLES = (ROOT / "docs/configuration.md").read_text()
COMMANDS = (ROOT / "docs/commands.md").read_text()
MOUNTED = "celery -A shop askonce "
ROWS = re.findall(r"^\| `([A-Z_]+)` \|([^|]*)\|", TABLES, re.MULTILINE)
FIELDS = {(field.alias or name).upper(): field for name, field in Settings.model_fields.items()}


def test_every_variable_is_documented_and_nothing_else():
    assert sorted(FIELDS) == sorted(name for name, _ in ROWS)


@pytest.mark.parametrize(("name", "told"), ROWS)
def test_documented_default_is_the_default(name, told):
    default = FIELDS[name].get_default(call_default_factory=True)

    if default in (None, {}) or isinstance(default, SecretStr):
        assert "`" not in told
    else:
        assert type(default)(told.strip(" `").replace("false", "")) == default


def test_page_of_events_is_made_from_their_list():
    # python -m tests.events_page writes it.
    assert events_page.page() == events_page.PAGE.read_text(encoding="utf-8")


def test_every_link_of_the_readme_leads_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text())

    assert [link for link in links if not (ROOT / link).exists()] == []


def test_task_of_ones_own_in_the_page_works_as_described():
    [code] = re.findall(r"```python\n(.*?)```", (ROOT / "docs/tasks.md").read_text(), re.DOTALL)
    defined = {}
    exec(code, defined)  # our own page
    spec, row = defined["spec"], {"invoice_id": 7, "text": "a\r\nb\n", "due": None, "total": 1.5}

    job = identify(replace(spec, name="invoices.read"), row)

    assert b'{"invoice_id":"7","text":"a\\nb"}' == job.payload
    assert {**row, "paid": True} == spec.present(row, {"paid": True})


def test_every_verb_is_in_the_page_of_commands():
    told = set(re.findall(r"`(\w+)", "".join(re.findall(r"^\| (`.*?) \|", COMMANDS, re.MULTILINE))))

    assert {verb.name for verb in VERBS} <= told


@pytest.mark.parametrize("page", ["commands", "jobs", "own-app"])
def test_every_example_of_a_command_can_be_meant(page):
    text = (ROOT / f"docs/{page}.md").read_text()
    examples = [line for line in text.splitlines() if line.startswith(MOUNTED)]

    assert examples
    for example in examples:
        words = shlex.split(example.removeprefix(MOUNTED))
        verb = askonce.commands[words.pop(0)]
        if isinstance(verb, click.Group):
            verb = verb.commands[words.pop(0)]
        # Refuses what the verb does not have.
        assert isinstance(verb.make_context(verb.name, words), click.Context)
