from itertools import pairwise

import pytest

from askonce.adapters.redis import RedisStore
from askonce.audit import ACTS, ENTRIES_KEPT_FOR, PART_KEPT, Entry

# One suite for every store: what people did is kept, in its order and within bounds.


def note(scene, **parts):
    scene.store.audit.note(Entry(**{"who": "ana@laptop", "act": "pause", "what": "--all", **parts}))


def entries(scene, since=0.0):
    return list(scene.store.audit.entries(since))


def test_entry_is_kept_as_it_was(scene):
    note(scene, act="cancel", what="run night", note="ein Versehen: ü")

    [entry] = entries(scene)

    assert ("ana@laptop", "cancel", "run night", "ein Versehen: ü") == (
        entry.who,
        entry.act,
        entry.what,
        entry.note,
    )
    assert entry.at > 0


def test_entries_come_in_their_order(scene):
    for number in range(1, 1_101):
        note(scene, what=str(number))

    found = entries(scene)

    assert list(range(1, 1_101)) == [int(entry.what) for entry in found]
    assert all(one.at <= other.at for one, other in pairwise(found))


def test_only_entries_since_a_time_are_returned(scene):
    note(scene)
    [entry] = entries(scene)

    assert ([entry], []) == (entries(scene, entry.at), entries(scene, entry.at + 1))


@pytest.mark.parametrize("act", ACTS)
def test_every_act_is_kept(scene, act):
    note(scene, act=act)

    assert [act] == [entry.act for entry in entries(scene)]


def test_parts_are_cut(scene):
    note(scene, what="x" * (PART_KEPT + 1), note="y" * (PART_KEPT + 1))

    [entry] = entries(scene)

    assert (PART_KEPT, PART_KEPT) == (len(entry.what), len(entry.note))


def test_audit_is_empty_at_first(scene):
    assert [] == entries(scene)


@pytest.mark.integration
def test_entries_have_an_end_and_a_stranger_leaves_none(client):
    store = RedisStore(client, namespace="test")
    for _ in range(3):
        store.audit.note(Entry(who="ana", act="pause", what="--all"))
    client.xadd("{askonce:test:b00}:audit", {"something": "else"})

    [key] = client.keys("*audit*")

    assert 3 == len(list(store.audit.entries()))
    assert 0 < client.pttl(key) <= ENTRIES_KEPT_FOR * 1000
    store.close()
