from threading import Event as Signal
from threading import Thread

import pytest

from askonce.adapters.memory import MemoryStore
from askonce.errors import Transient
from askonce.pace import Pace, Provider
from tasks.providers.failures import with_spending
from tasks.reasons import CURES, cure_of
from tests.deadlines import stretched


@pytest.fixture
def pace():
    return Pace(MemoryStore().boards, Provider(board="a", first=4.0))


def late(_turn):
    raise Transient("timeout", maybe_billed=True, retry_after=7)


def test_call_that_is_late_names_how_many_were_open(pace):
    begun, ended = Signal(), Signal()
    other = Thread(target=pace.call, args=("1", lambda _: begun.set() or ended.wait(stretched(20))))
    other.start()
    assert begun.wait(stretched(20))

    with pytest.raises(Transient) as caught:
        pace.call("2", late)
    ended.set()
    other.join()

    assert "timeout@open:2" == caught.value.reason
    assert (True, 7) == (caught.value.maybe_billed, caught.value.retry_after)
    assert CURES["timeout"] == cure_of(caught.value.reason)


def test_reason_of_a_late_call_outlives_what_it_cost(pace):
    with pytest.raises(Transient) as caught:
        pace.call("1", late)

    paid = with_spending(caught.value, usage={}, cost_usd=None)

    assert ("timeout@open:1", True) == (paid.reason, paid.maybe_billed)
    assert "timeout@open:1" in str(caught.value)
