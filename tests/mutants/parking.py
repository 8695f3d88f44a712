"""Guards of the time that a job may be parked."""

from tests.mutants.mutant import Mutant
from tests.mutants.scripts import of_script

PARK_FOR = "tests/contract/test_store_park_for.py::"
UNIT = "tests/unit/test_park_for.py::"

OF_PARKING = (
    of_script(
        "start counts a pause as time parked",
        "start",
        "if is_put_aside(r) then drop(r, 'pk') end",
        "",
        f"{PARK_FOR}test_pause_is_no_time_parked",
    ),
    of_script(
        "reap counts a pause as time parked",
        "reap",
        "if r.pk ~= '' then put_aside(r) end",
        "",
        f"{PARK_FOR}test_pause_that_only_a_reaper_met_is_no_time_parked",
    ),
    of_script(
        "park counts a wish as time waited",
        "park",
        "if NOW - parked_since(r) >= within then",
        "if NOW + after - parked_since(r) > within then",
        f"{PARK_FOR}test_wish_past_the_time_left_is_no_time_waited",
    ),
    Mutant(
        "a wish is not clipped to the time left",
        "askonce/retry.py",
        "return min(wish_of(error) or SHORTEST_WISH, max(left, SHORTEST_WISH))",
        "return wish_of(error) or SHORTEST_WISH",
        f"{UNIT}test_wish_past_the_time_left_is_clipped_to_it",
    ),
    Mutant(
        "a wish is forgotten once the time to park is over",
        "askonce/execute.py",
        "self._fail(run, ends_as(why.data))",
        "self._fail(run, ends_as(reason))",
        f"{UNIT}test_attempt_after_the_time_to_park_rests_as_wished",
    ),
)
