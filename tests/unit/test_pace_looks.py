"""A call in its turn: whether it is still to be made, and how many were open with it."""

import threading
from contextlib import suppress

import pytest

from askonce.errors import Postponed
from tests.unit.gated import Processes


@pytest.fixture
def pace(monkeypatch, heard):
    monkeypatch.setattr("askonce.pace.member.start_thread", lambda *_: threading.current_thread())
    return Processes(heard).start(few=2)


def no_more():
    raise Postponed("answers_unusable")


def test_call_whose_look_says_no_is_not_made_and_frees_its_place(pace):
    sent = []

    with suppress(Postponed):
        pace.call("one", sent.append, look=no_more)

    assert ([], 0) == (sent, pace.open)


def test_look_that_says_no_is_no_refusal_of_the_provider(pace):
    with pytest.raises(Postponed):
        pace.call("one", lambda _: "made", look=no_more)

    assert "made" == pace.call("two", lambda _: "made", look=pace.look)


def test_look_of_a_call_under_way_says_no_once_calls_rest(pace):
    under_way = pace.begin("one")
    pace.look()

    for name in ("two", "three"):
        pace.end(pace.begin(name), "misconfigured", "answers_unusable")

    with pytest.raises(Postponed) as said:
        pace.look()
    pace._member.exchange()
    with pytest.raises(Postponed, match="answers_unusable") as shared:
        pace.look()
    assert "configuration" == shared.value.ends_as
    assert said.value.retry_after > 0
    pace.end(under_way, "unknown")


def test_call_of_before_an_outage_that_is_late_names_how_many_were_open(pace):
    pace.begin("one")
    late = pace.begin("two")
    for name in ("three", "four"):
        pace.end(pace.begin(name), "misconfigured", "invalid_key")
    pace._member.exchange()

    # The calls of before take no place any more.
    assert (0, 2) == (pace.open, pace.end(late, "timed_out"))
