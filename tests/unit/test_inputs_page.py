import re
from pathlib import Path

import pytest

from tests.unit.given_inputs import payloads_of

PAGE = (Path(__file__).parents[2] / "docs/inputs.md").read_text()
EXAMPLES = dict(re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL))
ROWS = [
    {"order_id": "PED-1", "cliente_id": "8"},
    {"order_id": "PED-2", "cliente_id": "9", "nota": "São João"},
]


@pytest.mark.parametrize("form", ["jsonl", "json", "csv"])
@pytest.mark.parametrize("ending", [True, False])
def test_example_of_each_format_has_the_same_rows(tmp_path, form, ending):
    path = tmp_path / (f"orders.{form}" if ending else "orders")
    path.write_text(EXAMPLES[form])

    assert ROWS == payloads_of(path)


def test_example_of_captions_becomes_lines_of_speakers(tmp_path):
    path = tmp_path / "mtg-1.vtt"
    path.write_text(EXAMPLES["vtt"])

    assert [{"meeting_id": "mtg-1", "transcript": "Ana Souza: Bom dia a todos.\nBo: Oi."}] == payloads_of(
        path
    )


def test_page_has_no_other_examples():
    assert {"jsonl", "json", "csv", "vtt"} == set(EXAMPLES)
