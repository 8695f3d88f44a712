from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from askonce.schedule import Cron, Entry, Every, StoredFile
from askonce.schedule.slots import CAUGHT_UP, Passed, after, latest, passed
from askonce.schedules import Slot

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"
#: Noon in UTC before each change of the clocks of a zone: forward, and back.
CHANGES = {
    BERLIN: (datetime(2027, 3, 27, 12, tzinfo=UTC), datetime(2026, 10, 24, 12, tzinfo=UTC)),
    NEW_YORK: (datetime(2027, 3, 13, 12, tzinfo=UTC), datetime(2026, 10, 31, 12, tzinfo=UTC)),
    LORD_HOWE: (datetime(2026, 10, 3, 0, tzinfo=UTC), datetime(2027, 4, 3, 0, tzinfo=UTC)),
}
TIMES = [
    "30 2 * * *",
    "15 2 * * *",
    "0 3 * * *",
    "45 1 * * *",
    "0,30 1-3 * * *",
    "15 * * * *",
    "*/15 * * * *",
    "*/15 2 * * *",
    "*/15 1 * * *",
    "20 */2 * * *",
    "0 0 1 1 *",
    "30 2 * * sun",
]


def ms(moment):
    return int(moment.timestamp() * 1000)


def shown(slots, zone=BERLIN):
    """Return what a clock on the wall shows, and its offset in hours."""
    moments = [datetime.fromtimestamp(slot / 1000, ZoneInfo(zone)) for slot in slots]
    return [f"{each:%H:%M}{each.utcoffset() / timedelta(hours=1):+g}" for each in moments]


def slots_of(at, start, hours=24):
    end, slot, found = ms(start + timedelta(hours=hours)), ms(start), []
    while (slot := after(at, slot)) <= end:
        found.append(slot)
    return found


@pytest.mark.parametrize(
    ("zone", "change", "times", "expected"),
    [
        (BERLIN, 0, "30 2 * * *", ["03:00+2"]),
        (BERLIN, 1, "30 2 * * *", ["02:30+2"]),
        (NEW_YORK, 0, "30 2 * * *", ["03:00-4"]),
        (NEW_YORK, 1, "30 1 * * *", ["01:30-4"]),
        (LORD_HOWE, 0, "15 2 * * *", ["02:30+11"]),
        (LORD_HOWE, 1, "45 1 * * *", ["01:45+11"]),
    ],
)
def test_daily_slot_comes_once_when_clocks_change(zone, change, times, expected):
    assert expected == shown(slots_of(Cron(times, zone), CHANGES[zone][change]), zone)


@pytest.mark.parametrize("change", [0, 1])
@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK])
def test_hourly_slot_comes_each_hour_when_clocks_change(zone, change):
    slots = slots_of(Cron("15 * * * *", zone), CHANGES[zone][change])

    assert {3_600_000} == {later - earlier for earlier, later in pairwise(slots)}
    assert 24 == len(slots)


def test_hourly_slot_comes_at_each_such_time_when_clocks_change_by_half_an_hour():
    spring, autumn = (
        shown(slots_of(Cron("45 * * * *", LORD_HOWE), start, 18), LORD_HOWE) for start in CHANGES[LORD_HOWE]
    )

    assert ["00:45+10.5", "01:45+10.5", "02:45+11"] == [time for time in spring if time < "03"]
    assert ["00:45+11", "01:45+11", "01:45+10.5", "02:45+10.5"] == [time for time in autumn if time < "03"]


def test_slots_of_seconds_do_not_see_a_change_of_clocks():
    slots = slots_of(Every(3600, offset=60), CHANGES[BERLIN][0])

    assert {3_600_000} == {later - earlier for earlier, later in pairwise(slots)}
    assert {60_000} == {slot % 3_600_000 for slot in slots}


@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("change", [0, 1])
@pytest.mark.parametrize("zone", CHANGES)
def test_slots_are_those_that_a_clock_on_the_wall_shows(zone, change, times):
    start, cron = CHANGES[zone][change], Cron(times, zone)
    moments = [start + timedelta(minutes=number) for number in range(30 * 60)]
    expected = by_the_wall(cron, moments)

    found = slots_of(cron, moments[0] - timedelta(minutes=1), 30)

    assert expected == [slot for slot in found if slot <= ms(moments[-1])]
    for moment in moments[::61]:
        past = [slot for slot in expected if slot <= ms(moment)]
        to_come = [slot for slot in expected if slot > ms(moment)]
        assert (
            latest(cron, ms(moment)) == past[-1]
            if past
            else latest(cron, ms(moment)) < expected_first(moments)
        )
        assert not to_come or after(cron, ms(moment)) == to_come[0]


def expected_first(moments):
    return ms(moments[0])


def by_the_wall(cron, moments):
    """Return the slots among *moments*, minute by minute, from what the clock shows then."""
    from cronsim import CronSim

    zone = ZoneInfo(cron.zone)
    named = not any(field.startswith("*") for field in cron.times.split()[:2])
    walls = [moment.astimezone(zone) for moment in moments]
    seen, found = set(), []
    for before, wall in pairwise([moments[0].astimezone(zone) - timedelta(minutes=1), *walls]):
        plain = wall.replace(tzinfo=None, fold=0)
        left_out = plain - before.replace(tzinfo=None, fold=0) - timedelta(minutes=1)
        # Times that this clock left out just now are slots now, where they were named.
        minutes = max(left_out // timedelta(minutes=1), 0)
        times = [plain - timedelta(minutes=number) for number in range(minutes + 1)]
        fires = [
            time
            for time in (times if named else times[:1])
            if next(CronSim(cron.times, time - timedelta(seconds=1))) == time and not (named and time in seen)
        ]
        seen.update(times)
        if fires:
            found.append(ms(wall))
    return found


@settings(max_examples=200)
@given(
    now=st.integers(ms(datetime(2026, 1, 1, tzinfo=UTC)), ms(datetime(2028, 1, 1, tzinfo=UTC))),
    at=st.one_of(
        st.builds(Cron, st.sampled_from(TIMES), st.sampled_from([*CHANGES, "UTC", "America/Sao_Paulo"])),
        st.builds(Every, st.sampled_from([1, 1.5, 60, 3600, 86_400, 604_800]), st.sampled_from([0, 0.25, 1])),
    ),
)
def test_every_moment_is_between_its_two_slots(now, at):
    slot, to_come = latest(at, now), after(at, now)

    assert slot <= now < to_come
    assert (slot, to_come) == (latest(at, slot), latest(at, to_come))
    assert (to_come, slot) == (after(at, slot), latest(at, to_come - 1))
    assert Passed((), has_older=False) == passed(at, slot, now)
    assert Passed((slot,), has_older=False) == passed(at, slot - 1, now)
    assert Slot(slot) == Slot.named(Slot(slot).name)


def test_missed_slots_are_the_newest_in_their_order():
    now = ms(datetime(2026, 11, 28, 12, tzinfo=UTC))

    assert Passed((now - 2000, now - 1000, now), has_older=True) == passed(
        Every(1), now - 9000, now + 500, most=3
    )
    assert Passed((now - 1000, now), has_older=False) == passed(Every(1), now - 2000, now, most=3)
    assert CAUGHT_UP == len(passed(Cron("* * * * *"), 0, now).slots)


def test_slot_is_named_by_its_time_in_utc():
    slot = ms(datetime(2026, 11, 28, 3, tzinfo=UTC))

    assert ("2026-11-28T03:00:00Z", "2026-11-28T03:00:00.050Z") == (
        Slot(slot).name,
        Slot(slot + 50).name,
    )
    assert Slot(slot, by_hand=True) == Slot.named("2026-11-28T03:00:00Z by hand")


@pytest.mark.parametrize(
    "name", ["", "soon", "2026-11-28", "2026-11-28T03:00:00+00:00", "2026-11-28T04:00:00+01:00"]
)
def test_what_names_no_slot_is_refused(name):
    with pytest.raises(ValueError):  # noqa: PT011  # its text is for no person
        Slot.named(name)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Every(0.5), "Every: seconds must be from 1 to 3.1536e+08, not 0.5"),
        (lambda: Every(float("nan")), "Every: seconds must be from 1 to 3.1536e+08, not nan"),
        (lambda: Every(60, offset=61), "Every: offset must be from 0 to 60, not 61"),
        (lambda: Every(1.0001), "Every: seconds must be whole milliseconds, not 1.0001"),
        (lambda: entry(Cron("61 * * * *")), "Entry 'night': Cron: times '61 * * * *': bad minute"),
        (lambda: entry(Cron("0 24 * * *")), "Entry 'night': Cron: times '0 24 * * *': bad hour"),
        (lambda: entry(Cron("0 0 30 2 *")), "Entry 'night': Cron: times '0 0 30 2 *': bad day-of-month"),
        (
            lambda: entry(Cron("0 0 * * fri-mon")),
            "Entry 'night': Cron: times '0 0 * * fri-mon': bad day-of-week",
        ),
        (
            lambda: entry(Cron("0 0 0 * * *")),
            "Entry 'night': Cron: times must be five fields of cron, not '0 0 0 * * *'",
        ),
        (
            lambda: entry(Cron("@daily")),
            "Entry 'night': Cron: times must be five fields of cron, not '@daily'",
        ),
        (
            lambda: entry(Cron("0 0 * * *", "Berlin")),
            "Entry 'night': Cron: zone 'Berlin' is not in the time zone database of this machine",
        ),
        (
            lambda: entry(Cron("0 0 * * *", "../etc")),
            "Entry 'night': Cron: zone '../etc' is not in the time zone database of this machine",
        ),
    ],
)
def test_what_has_no_slots_is_refused_by_name(make, said):
    with pytest.raises(ValueError) as refused:  # noqa: PT011  # its text is below
        make()

    assert said == str(refused.value)


def test_entry_of_a_time_of_day_says_which_package_it_needs(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cronsim", None)

    with pytest.raises(ModuleNotFoundError, match=r"^Entry 'night': Cron needs .*askonce\[schedule\]'$"):
        entry(Cron("0 0 * * *"))


def entry(at):
    return Entry(name="night", at=at, query=StoredFile(task="orders", path=None))
