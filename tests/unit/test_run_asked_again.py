"""Rows that failed are asked for again once, whatever their producer was killed in."""

import pytest

from askonce.errors import Permanent
from producer.run import run as runs
from tests.unit.starts import Start

EQUAL = [{"currency": "BRL"}, {"currency": "BRL"}]


@pytest.mark.parametrize("group", [1, 500])
def test_failure_of_a_killed_start_is_news_to_its_equal_rows(scene, raising, monkeypatch, group):
    monkeypatch.setattr(runs, "GROUP", group)
    start, body = Start(scene), raising(Permanent("http_404"))
    scene.answered(EQUAL[0], body)
    start.done = 1
    start(EQUAL[:1], body=body, waits=True, again=True)

    # The start was killed before it kept that end.
    reports = start(EQUAL, body=body, waits=True, again=True)

    assert ["failed", "negative"] == [report.status for report in reports]
    assert 2 == len(scene.sender.sent)
