from collections import Counter

import pytest

from askonce.adapters.redis import RedisStore
from askonce.errors import StoreUnavailable
from askonce.schedules import (
    ENTRY_KEPT,
    FACTS_KEPT,
    LINES_KEPT,
    NOTE_KEPT,
    Due,
    Ended,
    EntryState,
    Line,
    Look,
    Missed,
    Slot,
    SlotDecision,
)

# One suite for every store: which slots of an entry fire, and what became of them.

BEGUN, KNOWN, PAUSED, SEND, SKIP, WAIT = (
    SlotDecision.BEGUN,
    SlotDecision.KNOWN,
    SlotDecision.PAUSED,
    SlotDecision.SEND,
    SlotDecision.SKIP,
    SlotDecision.WAIT,
)
HOUR = 3_600_000


@pytest.fixture
def schedules(scene):
    return scene.store.schedules


@pytest.fixture
def decide(schedules):
    """Decide slots of an entry, which begins with the slot 0."""

    def decide(*slots, entry="night", **more):
        return schedules.decide(entry, Due(tuple(map(as_slot, slots)), **more)).slots

    decide(0)
    return decide


def as_slot(slot):
    return slot if isinstance(slot, Slot) else Slot(slot * HOUR)


def lines(schedules, entry="night"):
    """Return the history of an entry, the oldest first: hours and words."""
    return [(line.slot.at // HOUR, line.what) for line in reversed(schedules.history(entry))]


def test_first_start_of_an_entry_fires_nothing(schedules, scene):
    before = schedules.look(["night"])

    begun = schedules.decide("night", Due((Slot(HOUR),))).slots

    assert Look(before.now, {"night": EntryState()}) == before
    assert round(float(scene.clock()) * 1000) == before.now
    assert [BEGUN] == begun
    assert EntryState(last=HOUR) == schedules.look(["night"]).states["night"]
    assert [] == schedules.history("night")


def test_slot_is_sent_once_however_many_schedulers_decide_it(schedules, decide, at_once):
    decided = Counter(reply for replies in at_once(lambda _: decide(1), count=16) for reply in replies)

    assert {SEND: 1, KNOWN: 15} == decided
    assert [KNOWN, KNOWN] == [*decide(1), *decide(0)]
    assert [(1, "sent")] == lines(schedules)


def test_slot_under_way_is_shown_with_its_begin(schedules, decide, scene):
    scene.clock.advance(7)
    decide(1)

    now, states = schedules.look(["night", "other"])

    assert {"night": EntryState(last=HOUR, open=Slot(HOUR), since=now), "other": EntryState()} == states


def test_time_is_shown_without_entries(schedules, scene):
    assert Look(round(float(scene.clock()) * 1000), {}) == schedules.look([])


def test_slot_is_skipped_while_another_one_is_under_way(schedules, decide):
    first, second = decide(1), decide(2)
    ended = schedules.ended("night", Slot(HOUR), "done", {"asked": 3})

    assert ([SEND], [SKIP], Ended(was_open=True)) == (first, second, ended)
    assert [SEND] == decide(3)
    assert [(1, "sent"), (2, "skipped"), (1, "done"), (3, "sent")] == lines(schedules)


def test_one_slot_waits_for_the_one_under_way(schedules, decide):
    decided = [decide(slot, waiting=1)[0] for slot in (1, 2, 3)]
    waiting = schedules.look(["night"]).states["night"].waiting
    schedules.ended("night", Slot(HOUR), "done", {})

    state = schedules.look(["night"]).states["night"]

    assert ([SEND, WAIT, SKIP], (Slot(2 * HOUR),)) == (decided, waiting)
    assert (Slot(2 * HOUR), ()) == (state.open, state.waiting)
    assert [KNOWN] == decide(2)
    assert [(1, "sent"), (2, "waits"), (3, "skipped"), (1, "done"), (2, "sent")] == lines(schedules)


def test_slots_that_were_missed_fire_in_their_order(schedules, decide):
    decided = decide(3, 4, 5, waiting=1000, missed=Missed(HOUR, 2 * HOUR, 2))
    order = []
    while (slot := schedules.look(["night"]).states["night"].open) is not None:
        order.append(slot.at // HOUR)
        schedules.ended("night", slot, "done", {})

    assert [SEND, WAIT, WAIT] == decided
    assert [3, 4, 5] == order
    assert (
        Line(
            Slot(HOUR),
            "missed",
            at=schedules.history("night")[-1].at,
            facts={"until": "1970-01-01T02:00:00Z", "slots": 2},
        )
        == schedules.history("night")[-1]
    )


def test_slots_that_passed_are_noted_once_by_all_schedulers(schedules, decide):
    missed = Missed(HOUR, 2 * HOUR)
    noted = [schedules.decide("night", Due((), missed=missed)).noted for _ in range(2)]
    decide(3, missed=missed)

    assert [True, False] == noted
    assert [(1, "missed"), (3, "sent")] == lines(schedules)
    assert {"until": "1970-01-01T02:00:00Z"} == schedules.history("night")[-1].facts
    assert [KNOWN, KNOWN] == [*decide(1), *decide(2)]


def test_first_start_notes_no_slot_as_missed(schedules):
    begun = schedules.decide("night", Due((Slot(3 * HOUR),), missed=Missed(HOUR, 2 * HOUR)))

    assert not begun.noted
    assert [] == schedules.history("night")


def test_end_of_a_slot_counts_once(schedules, decide, scene):
    decide(1, waiting=1)
    decide(2, waiting=1)
    ended = [schedules.ended("night", Slot(HOUR), "done", {"asked": 2, "note": "ü"}) for _ in range(2)]

    state = schedules.look(["night"]).states["night"]

    assert [Ended(was_open=True, begun=Slot(2 * HOUR)), Ended(was_open=False)] == ended
    assert round(float(scene.clock()) * 1000) == state.succeeded
    assert Slot(2 * HOUR) == state.open
    assert {"asked": 2, "note": "ü"} == schedules.history("night")[1].facts
    assert not schedules.ended("night", Slot(9 * HOUR), "done", {}).was_open
    assert not schedules.ended("other", Slot(HOUR), "done", {}).was_open


def test_failed_slot_is_no_success_and_may_pause_its_entry(schedules, decide):
    decide(1, waiting=1)
    decide(2, waiting=1)
    schedules.ended("night", Slot(HOUR), "failed", {"reason": "refused"}, pause="failed: refused")

    state = schedules.look(["night"]).states["night"]

    assert (0, "failed: refused", None) == (state.succeeded, state.paused, state.open)
    assert (Slot(2 * HOUR),) == state.waiting
    assert [(1, "failed")] == lines(schedules)[-1:]


def test_slots_of_a_paused_entry_do_not_fire_and_are_noted(schedules, decide):
    schedules.pause("night", "ana: too dear")
    decided = decide(1)
    resumed = schedules.resume("night"), schedules.resume("night")

    assert ([PAUSED], (True, False)) == (decided, resumed)
    assert ([KNOWN], [SEND]) == (decide(1), decide(2))
    assert [(1, "paused"), (2, "sent")] == lines(schedules)


def test_slot_that_waits_begins_when_its_pause_ends(schedules, decide):
    decide(1, waiting=1)
    decide(2, waiting=1)
    schedules.pause("night", "stop")
    schedules.ended("night", Slot(HOUR), "done", {})
    paused = schedules.look(["night"]).states["night"]
    schedules.resume("night")

    state = schedules.look(["night"]).states["night"]

    assert ("stop", None, 0) == (paused.paused, paused.open, paused.resumed)
    assert (None, Slot(2 * HOUR), 1) == (state.paused, state.open, state.resumed)


def test_slot_that_waits_is_passed_by_no_other_one(schedules, decide):
    decide(1, waiting=1)
    decide(2, waiting=1)
    schedules.pause("night", "stop")
    schedules.ended("night", Slot(HOUR), "done", {})

    assert [SKIP] == decide(Slot(9 * HOUR, by_hand=True), waiting=1, force=True)
    assert (Slot(2 * HOUR),) == schedules.look(["night"]).states["night"].waiting


def test_note_of_a_pause_is_cut_and_never_empty(schedules):
    notes = []
    for note in ("x" * 1000, ""):
        schedules.pause("night", note)
        notes.append(schedules.look(["night"]).states["night"].paused)

    assert ["x" * NOTE_KEPT, "paused"] == notes


def test_entry_that_was_paused_before_its_first_slot_begins_paused(schedules):
    schedules.pause("night", "not yet")

    decided = [schedules.decide("night", Due((Slot(slot),))).slots for slot in (HOUR, 2 * HOUR)]

    assert [[BEGUN], [PAUSED]] == decided


def test_person_starts_a_slot_beside_those_of_the_grid(schedules, decide):
    slot = Slot(5 * HOUR, by_hand=True)
    decided = decide(slot), decide(slot)
    busy = decide(Slot(6 * HOUR, by_hand=True))
    skipped = decide(1)
    schedules.ended("night", slot, "done", {})

    assert (([SEND], [KNOWN]), [SKIP], [SKIP]) == (decided, busy, skipped)
    # The slots of the grid up to then are not decided by it.
    assert [SEND] == decide(2)
    assert [Slot(5 * HOUR, by_hand=True), "sent"] == list(schedules.history("night")[-1][:2])
    assert 4 == len(schedules.history("night"))


def test_person_starts_a_slot_of_a_paused_entry_by_force_alone(schedules, decide):
    schedules.pause("night", "stop")
    slot = Slot(5 * HOUR, by_hand=True)

    assert ([PAUSED], [SEND]) == (decide(slot), decide(slot, force=True))
    assert [(5, "sent")] == lines(schedules)
    assert "stop" == schedules.look(["night"]).states["night"].paused


def is_forced(schedules):
    return schedules.look(["night"]).states["night"].forced


def test_slot_is_forced_from_its_begin_until_its_end(schedules, decide):
    first, second, third = (Slot(hour * HOUR, by_hand=True) for hour in (5, 6, 7))
    decide(first, force=True)
    forced = [is_forced(schedules)]
    schedules.ended("night", first, "done", {})
    schedules.pause("night", "stop")
    decide(second, force=True)
    forced.append(is_forced(schedules))
    assert [KNOWN] == decide(second, force=True)
    assert [SKIP] == decide(third, force=True)
    forced.append(is_forced(schedules))
    schedules.ended("night", second, "done", {})
    forced.append(is_forced(schedules))

    # The entry was not paused when the first one began.
    assert [False, True, True, False] == forced


def test_slot_that_waits_behind_a_forced_one_is_not_forced(schedules, decide):
    slot = Slot(5 * HOUR, by_hand=True)
    schedules.pause("night", "stop")
    decide(slot, force=True)
    schedules.resume("night")
    decide(1, waiting=1)
    schedules.ended("night", slot, "done", {})

    assert (Slot(HOUR), False) == (schedules.look(["night"]).states["night"].open, is_forced(schedules))


def test_pause_after_a_forced_begin_is_meant_for_that_slot_too(schedules, decide):
    schedules.pause("night", "stop")
    decide(Slot(5 * HOUR, by_hand=True), force=True)
    schedules.pause("night", "stop that too")

    assert not is_forced(schedules)


def test_person_starts_a_slot_of_an_entry_that_never_began(schedules):
    slot = Slot(5 * HOUR, by_hand=True)

    decided = schedules.decide("night", Due((slot,))).slots
    schedules.ended("night", slot, "done", {})

    assert [SEND] == decided
    assert [BEGUN] == schedules.decide("night", Due((Slot(HOUR),))).slots


def test_progress_is_of_the_slot_under_way(schedules, decide):
    decide(1)
    kept = [schedules.progress("night", Slot(slot), {"asked": slot}) for slot in (HOUR, 2 * HOUR)]
    shown = schedules.look(["night"]).states["night"].facts
    schedules.ended("night", Slot(HOUR), "done", {})
    decide(2)

    assert ([True, False], {"asked": HOUR}) == (kept, shown)
    assert {} == schedules.look(["night"]).states["night"].facts


@pytest.mark.parametrize(
    "facts",
    [{"rows": [1]}, {"is": True}, {"none": None}, {"note": "x" * FACTS_KEPT}],
    ids=["list", "bool", "none", "long"],
)
def test_facts_that_cannot_be_kept_are_refused(schedules, decide, facts):
    decide(1)

    with pytest.raises(ValueError, match="of a slot"):
        schedules.ended("night", Slot(HOUR), "done", facts)
    with pytest.raises(ValueError, match="of a slot"):
        schedules.progress("night", Slot(HOUR), facts)
    assert Slot(HOUR) == schedules.look(["night"]).states["night"].open


def test_history_has_the_newest_lines(schedules, decide):
    for slot in range(1, LINES_KEPT + 10):
        decide(slot)

    assert LINES_KEPT == len(schedules.history("night"))
    assert [(10, "skipped"), (LINES_KEPT + 9, "skipped")] == lines(schedules)[:: LINES_KEPT - 1]


def test_entries_do_not_see_each_other(schedules, decide):
    decide(1)
    for entry in ("night:history", "nig", "{x}", "ü"):
        decide(0, entry=entry)

        assert [SEND] == decide(1, entry=entry)
        assert [(1, "sent")] == lines(schedules, entry)


@pytest.mark.integration
def test_entry_is_kept_for_a_time_after_each_verb_that_changes_it(client):
    store, key = RedisStore(client, namespace="test"), "{askonce:test:b00}:schedule:night"
    left = []
    for verb in (
        lambda: store.schedules.decide("night", Due((Slot(1),))),
        lambda: store.schedules.decide("night", Due((Slot(2),))),
        lambda: store.schedules.ended("night", Slot(2), "done", {}),
        lambda: store.schedules.pause("night", "stop"),
        lambda: store.schedules.resume("night"),
    ):
        verb()
        left.append(client.pttl(key))
        client.persist(key)

    assert all(ENTRY_KEPT - 60 < each / 1000 <= ENTRY_KEPT for each in left)
    store.close()


@pytest.mark.integration
def test_entry_that_something_else_overwrote_is_a_store_that_refuses(client):
    store = RedisStore(client, namespace="test")
    client.set("{askonce:test:b00}:schedule:night", "no hash")

    for verb in (
        lambda: store.schedules.look(["night"]),
        lambda: store.schedules.decide("night", Due((Slot(1),))),
        lambda: store.schedules.history("night"),
    ):
        with pytest.raises(StoreUnavailable):
            verb()
    store.close()


@pytest.mark.integration
def test_line_that_something_else_wrote_is_left_out(client):
    store = RedisStore(client, namespace="test")
    log = '7 sent 8 {}\nx\n\n7 sold 8 {}\ny sent 8 {}\n7 sent 8 [\n7h done 9 {"a":[1],"b":2}'
    client.hset("{askonce:test:b00}:schedule:night", "log", log)

    assert [
        Line(Slot(7), "sent", 8, {}),
        Line(Slot(7), "sent", 8, {}),
        Line(Slot(7, by_hand=True), "done", 9, {"b": 2}),
    ] == store.schedules.history("night")
    store.close()
