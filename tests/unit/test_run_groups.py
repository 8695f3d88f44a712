"""How rows become groups, also at a start that goes on after a kill."""

import pytest

from askonce.rows import Row
from producer.run.groups import Groups
from producer.run.limits import NoBudget


@pytest.fixture
def new_groups():
    """Make groups of rows 1 to *number*; *sent* has the group of each that an earlier start sent."""

    def make(number, sent=None, anew=()):
        rows = [Row(number=n, payload={"n": n}) for n in range(1, number + 1)]
        return Groups(rows, NoBudget(), lambda row: (sent or {}).get(row, 0), lambda row: row in anew)

    return make


def numbers(group):
    return [row.number for row in group]


def test_group_is_as_large_as_there_is_room_for(new_groups):
    groups = new_groups(5)

    assert [[1, 2, 3], [], [4, 5]] == [numbers(groups.next(room)) for room in (3, 0, 3)]
    assert groups.has_ended


def test_group_of_a_killed_start_is_one_group_again_whatever_room_there_is(new_groups):
    groups = new_groups(6, {1: 7, 2: 7, 3: 7, 5: 8})

    assert [[1, 2, 3], [4], [5], [6]] == [numbers(groups.next(room)) for room in (1, 9, 9, 9)]


def test_rows_that_are_asked_for_in_another_way_have_groups_of_their_own(new_groups):
    groups = new_groups(5, anew={2, 3})
    first, second = groups.next(9), groups.next(9)

    groups.put_back([*first, *second])

    assert [[1], [2, 3], [1], [2], [3], [4, 5]] == [
        numbers(group) for group in (first, second, *map(groups.next, (9, 1, 9, 9)))
    ]


def test_rows_that_are_put_back_come_first_and_by_themselves(new_groups):
    groups = new_groups(3)
    first, second = groups.next(2)

    groups.put_back([first, second])

    assert groups.has_put_back
    assert [[1], [2], [3]] == [numbers(groups.next(room)) for room in (1, 9, 9)]
    assert not groups.has_put_back
