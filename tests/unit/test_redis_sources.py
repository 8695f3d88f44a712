import re
from collections import Counter
from importlib.resources import files

import pytest

from askonce import record
from askonce.adapters.redis.scripts import sources

SCRIPTS = sources()
LUA = files("askonce.adapters.redis") / "lua"
#: What begins a line is a definition of the script; other text is within one, or is the verb itself.
DEFINITION = re.compile(r"^local (?:function )?(\w+)", re.MULTILINE)


@pytest.mark.parametrize("verb", SCRIPTS)
def test_script_defines_each_name_once(verb):
    assert [name for name, times in Counter(DEFINITION.findall(SCRIPTS[verb])).items() if times > 1] == []


@pytest.mark.parametrize("verb", SCRIPTS)
def test_script_has_no_definition_that_it_does_not_name(verb):
    words = Counter(re.findall(r"\w+", SCRIPTS[verb]))

    assert [name for name in DEFINITION.findall(SCRIPTS[verb]) if words[name] == 1] == []


@pytest.mark.parametrize("verb", SCRIPTS)
def test_script_has_numbers_in_place_of_constants(verb):
    words = set(re.findall(r"\w+", SCRIPTS[verb]))

    assert {name for name in vars(record) if name.isupper()} & words == set()


def test_duplicate_ends_before_what_only_admit_needs():
    before, _, after = SCRIPTS["admit"].partition("count(name, 'attached', 1)")

    assert "local function load(" not in before
    assert "local function load(" in after


def test_duplicate_hides_no_definition_of_admit():
    lines = re.findall(r"^local ([\w, ]+) =", (LUA / "duplicate.lua").read_text(), re.MULTILINE)
    own = {name for line in lines for name in line.split(", ")}
    shared = "".join(
        (LUA / f"{name}.lua").read_text() for name in ("record", "tally", "pauses", "reply", "attach")
    )

    assert own & set(DEFINITION.findall(shared)) == set()
