import orjson
import pytest

from askonce.pace.state import Report, State

NAME, TTL = "service", 2.5


@pytest.fixture
def boards(scene):
    return scene.store.boards


def test_notes_of_all_members_are_returned_with_the_stores_time(scene, boards):
    boards.exchange(NAME, "a", b"one", TTL)
    scene.clock.advance(1)

    seen = boards.exchange(NAME, "b", b"two\n\x00\xff", TTL)

    assert {"a": b"one", "b": b"two\n\x00\xff"} == seen.notes
    assert (float(scene.clock()), 0, b"") == (float(seen.now), seen.version, seen.state)


def test_note_replaces_the_members_last_one(boards):
    boards.exchange(NAME, "a", b"one", TTL)

    assert {"a": b"two"} == boards.exchange(NAME, "a", b"two", TTL).notes


def test_boards_of_two_names_share_nothing(boards):
    boards.exchange(NAME, "a", b"one", TTL)
    boards.propose(NAME, 0, b"{}")

    seen = boards.exchange("another", "b", b"two", TTL)

    assert (0, b"", {"b": b"two"}) == (seen.version, seen.state, seen.notes)


def test_note_is_over_exactly_at_its_time(scene, boards):
    boards.exchange(NAME, "a", b"one", TTL)
    scene.clock.advance(TTL - 0.001)
    assert {"a", "b"} == boards.exchange(NAME, "b", b"two", TTL).notes.keys()

    scene.clock.advance(0.001)

    assert {"b"} == boards.exchange(NAME, "b", b"two", TTL).notes.keys()


def test_note_of_before_the_clock_was_set_back_is_gone(scene, boards):
    boards.exchange(NAME, "killed", b"one", TTL)
    scene.clock.advance(-3600)

    assert {"a"} == boards.exchange(NAME, "a", b"two", TTL).notes.keys()


def test_empty_note_withdraws_its_member_and_the_state_stays(boards):
    boards.exchange(NAME, "a", b"one", TTL)
    boards.exchange(NAME, "b", b"two", TTL)
    boards.propose(NAME, 0, b"{}")

    left = boards.exchange(NAME, "a", b"", TTL)
    again = boards.exchange(NAME, "a", b"", TTL)

    assert {"b": b"two"} == left.notes == again.notes
    assert (1, b"{}") == (again.version, again.state)


def test_proposal_replaces_the_version_that_was_seen_only(boards):
    assert boards.propose(NAME, 0, b"first")
    assert not boards.propose(NAME, 0, b"late")
    assert not boards.propose(NAME, 2, b"early")
    assert boards.propose(NAME, 1, b"\x00second")

    seen = boards.exchange(NAME, "a", b"one", TTL)

    assert (2, b"\x00second") == (seen.version, seen.state)


def test_one_of_many_proposals_at_once_wins(boards, at_once):
    seen = boards.exchange(NAME, "a", b"one", TTL)

    won = at_once(lambda number: boards.propose(NAME, seen.version, b"%d" % number), 20)

    assert 1 == won.count(True)
    after = boards.exchange(NAME, "a", b"one", TTL)
    assert (1, b"%d" % won.index(True)) == (after.version, after.state)


def test_states_are_listed_by_the_names_of_their_boards(boards):
    assert {} == boards.states()
    for name in ("one:task", "two", "new"):
        boards.exchange(name, "a", b"note", TTL)
    boards.propose("one:task", 0, b"1")
    boards.propose("two", 0, b"2")

    assert {"one:task": b"1", "two": b"2"} == boards.states()


@pytest.mark.parametrize(
    "garbage",
    [b"\xff\xfe", b"[]", b"7", b"{", b'{"number": "one"}', b'{"seconds": {"x": [0, 1, 1]}}', b'{"open": -1}'],
)
def test_note_and_state_that_no_process_wrote_are_passed_over(boards, garbage):
    boards.exchange(NAME, "a", garbage, TTL)
    boards.propose(NAME, 0, garbage)
    report = Report(number=3, sent=2)

    seen = boards.exchange(NAME, "b", report.encode(), TTL)

    assert (None, None) == (State.decode(seen.state), Report.decode(seen.notes["a"]))
    assert report == Report.decode(seen.notes["b"])
    assert boards.propose(NAME, seen.version, State(limit=4.0).encode())


def test_state_and_report_come_back_unchanged(boards):
    report = Report(number=1, seconds={"4": (2, 1.5, 1.25)}, remembered={"form": "text"}, sent=2)
    state = State(limit=4.0, rate=2.5, marks=[(1.5, 3)], full=(1.5, 2), taken={"a": 1})
    boards.propose(NAME, 0, state.encode())

    seen = boards.exchange(NAME, "a", report.encode(), TTL)

    assert (state, report) == (State.decode(seen.state), Report.decode(seen.notes["a"]))


def test_field_of_a_newer_version_is_left_out():
    newer = {
        "limit": 4.0,
        "new": [1],
        "levels": {"2": {"count": 1, "mean": 1, "variance": 0, "at": 0, "n": 1}},
    }

    found = State.decode(orjson.dumps(newer))

    assert (4.0, 1.0) == (found.limit, found.levels["2"].mean)
