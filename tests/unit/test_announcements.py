import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.announcements import BYTES_KEPT, Announcement, decode, encode

SOUND = {"tasks": {"orders": "1"}, "labels": {}, "queues": ["fast"], "slots": 8, "whole": True}
DAMAGED = {
    "no JSON": b"{",
    "no object": b"[]",
    "no tasks": orjson.dumps({**SOUND, "tasks": None}),
    "tasks of a list": orjson.dumps({**SOUND, "tasks": ["orders"]}),
    "models of a list": orjson.dumps({**SOUND, "models": []}),
    "queues of text": orjson.dumps({**SOUND, "queues": "fast"}),
    "slots of text": orjson.dumps({**SOUND, "slots": "8"}),
    "slots of truth": orjson.dumps({**SOUND, "slots": True}),
    "fewer slots than none": orjson.dumps({**SOUND, "slots": -1}),
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=300),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=300), inner),
)


def read(data, worker="w"):
    return decode(worker, data, since=1.0, seen_in=2.0)


@pytest.mark.parametrize("what", DAMAGED)
def test_damaged_announcement_is_none(what):
    assert read(DAMAGED[what]) is None


def test_unknown_field_of_a_newer_worker_is_ignored():
    found = read(orjson.dumps({**SOUND, "pace": {"orders": 0.5}, "mood": "good"}))

    assert (
        Announcement(worker="w", tasks={"orders": "1"}, queues=("fast",), slots=8, since=1.0, seen_in=2.0)
        == found
    )


def test_worker_with_an_odd_name_is_none():
    assert read(orjson.dumps(SOUND), "w\x1b[2J") is None


@given(st.binary())
def test_any_bytes_are_an_announcement_or_none(data):
    assert read(data) is None or isinstance(read(data), Announcement)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(SOUND, JSON)))
def test_any_object_is_an_announcement_of_names_or_none(found):
    seen = read(orjson.dumps(found))

    assert seen is None or all(map(str.isprintable, (*seen.tasks, *seen.tasks.values(), *seen.queues)))


@given(
    st.dictionaries(st.text(), st.text()),
    st.lists(st.text(), max_size=2000).map(tuple),
    st.integers(0, 2**31),
)
def test_encoded_announcement_is_short_and_never_claims_more(tasks, queues, slots):
    announced = Announcement(worker="w", tasks=tasks, queues=queues, slots=slots)

    data = encode(announced)
    found = read(data)

    assert len(data) <= BYTES_KEPT
    assert found.tasks.items() <= tasks.items()
    assert set(found.queues) <= set(queues)
    assert found.whole is ((found.tasks, found.queues) == (tasks, queues))
