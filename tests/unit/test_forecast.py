"""What a run would call, as it is said before."""

import pytest

from askonce.errors import Permanent
from askonce.rows import Row
from producer.run.forecast import Forecast


class Meter:
    """Finds each row of the same size."""

    def size(self, _payload):
        return 1

    def add(self, _payload):
        pass


@pytest.fixture
def forecast(scene, raising):
    """Look at a row that was answered 30 seconds ago, one that failed, and one that nobody asked for."""
    scene.answered({"currency": "BRL"})
    scene.clock.advance(30)
    scene.answered({"currency": "EUR"}, raising(Permanent("http_404")))
    names = enumerate(("BRL", "EUR", "USD"), start=1)
    rows = [Row(number=n, payload={"currency": name}) for n, name in names]

    def look(**words):
        found = Forecast(spec=scene.spec, store=scene.store, meter=Meter(), **words)
        found.look(rows)
        return found.answered, found.to_call

    return look


@pytest.mark.parametrize(
    ("words", "answered", "to_call"),
    [
        ({}, 2, 1),
        ({"max_age": 31.0}, 2, 1),
        ({"max_age": 29.0}, 1, 2),
        ({"retry_failed": True}, 1, 2),
        ({"retry_failed": True, "max_age": 29.0}, 0, 3),
        ({"refresh": True}, 0, 3),
    ],
)
def test_what_a_run_asks_for_again_is_to_be_called(forecast, words, answered, to_call):
    assert (answered, to_call) == forecast(**words)
