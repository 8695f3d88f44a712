"""Guards of what a slot asks for, and of what that may cost."""

from tests.mutants.mutant import Mutant

RUNNING, CEILING, ASKING = (f"askonce/schedule/{name}.py" for name in ("running", "ceiling", "asking"))
LETTERS = "tests/unit/schedule/test_slot_of_dead_letters.py::"

OF_SLOTS = (
    Mutant(
        "a dead letter pays again for what its new version has answered",
        "askonce/replay.py",
        "force=key == job.key,",
        "force=True,",
        f"{LETTERS}test_letter_whose_new_key_has_an_answer_is_not_paid_again",
    ),
    Mutant(
        "a dead letter stays although its new key is in flight",
        "askonce/replay.py",
        "    if key == job.key:\n        return done",
        "    if key == job.key or not isinstance(done.outcome, Admitted):\n        return done",
        f"{LETTERS}test_letter_whose_new_key_is_in_flight_is_forgotten_and_not_paid_again",
    ),
    Mutant(
        "a dead letter of a killed worker stays",
        ASKING,
        'return "" if letter in (None, key) else forget(self._site, letter)',
        'return ""',
        f"{LETTERS}test_letter_of_a_killed_worker_is_paid_once_under_its_new_key",
    ),
)
