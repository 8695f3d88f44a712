"""A long command shows on a terminal how far it is, and nothing anywhere else."""

import sys

import pytest

from askonce.cli.working import working


@pytest.fixture
def clock(monkeypatch):
    """Let a test move the time of the line."""
    now = [0.0]
    monkeypatch.setattr("askonce.cli.working.time.monotonic", lambda: now[0])
    return lambda seconds: now.__setitem__(0, now[0] + seconds)


@pytest.fixture
def terminals(monkeypatch):
    """Say which of stdout and stderr are terminals; none is at first."""
    known = set()

    def is_terminal(stream):
        return ("stdout" if stream is sys.stdout else "stderr") in known

    monkeypatch.setattr("askonce.cli.working.is_terminal", is_terminal)
    return known


def test_line_comes_after_a_second_and_changes_now_and_then(clock, terminals, capsys):
    terminals.add("stderr")

    with working("looked at", 5000) as report:
        for _ in range(12):
            clock(0.11)
            report(1234)

    assert "\rlooked at 1,234 of 5,000\rlooked at 1,234 of 5,000\n" == capsys.readouterr().err


@pytest.mark.parametrize(
    ("streams", "prints"), [((), False), (("stdout",), False), (("stdout", "stderr"), True)]
)
def test_nothing_is_shown_elsewhere_or_between_what_is_printed(clock, terminals, capsys, streams, prints):
    terminals.update(streams)

    with working("replay", prints=prints) as report:
        clock(9)
        report(1)

    assert ("", "") == capsys.readouterr()


def test_short_command_shows_nothing(clock, terminals, capsys):
    terminals.add("stderr")

    with working("replay") as report:
        report(1)

    assert "" == capsys.readouterr().err
