import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from settings.environment import Settings

ROOT = Path(__file__).parents[2]
TABLES = (ROOT / "docs/configuration.md").read_text()
ROWS = re.findall(r"^\| `([A-Z_]+)` \|([^|]*)\|", TABLES, re.MULTILINE)
FIELDS = {(field.alias or name).upper(): field for name, field in Settings.model_fields.items()}


def test_every_variable_is_documented_and_nothing_else():
    assert sorted(FIELDS) == sorted(name for name, _ in ROWS)


@pytest.mark.parametrize(("name", "told"), ROWS)
def test_documented_default_is_the_default(name, told):
    default = FIELDS[name].default

    if default is None or isinstance(default, SecretStr):
        assert "`" not in told
    else:
        assert type(default)(told.strip(" `").replace("false", "")) == default


def test_every_link_of_the_readme_leads_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text())

    assert [link for link in links if not (ROOT / link).exists()] == []
