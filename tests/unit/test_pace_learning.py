"""What the law learns of a rate from the first refusals, and what a process wants between two calls."""

from askonce.pace import Allowance, State
from askonce.pace.demand import Demand
from askonce.pace.law import adjusted
from askonce.pace.state import Report


class Reports:
    """The reports of one process, one each half second, and the state that follows."""

    def __init__(self):
        self.now, self.number = 1_000.0, 0
        self.state = State(limit=4.0, at=self.now)

    def add(self, seconds=0.5, **met):
        self.now, self.number = self.now + seconds, self.number + 1
        report = Report(number=self.number, epoch=self.state.epoch, wanted=64, **met)
        self.state = adjusted(self.state, self.now, {"one": report})
        return self.state


def test_refusal_is_believed_against_headers_that_allow_far_more():
    reports = Reports()

    # As much a second as would be allowed a minute.
    said = reports.add(sent=10, answered=10, answered_now=10, allowance=Allowance(600, 8, 0.4))
    refused = reports.add(sent=14, answered=8, refused=6, refused_now=6, reason="rate_limited")

    assert said.rate > 1_000
    assert refused.rate < 30


def test_rate_does_not_grow_while_calls_are_still_refused():
    reports = Reports()
    reports.add(sent=10, answered=10, answered_now=10)

    first = reports.add(sent=10, answered=6, refused=4, refused_now=4, reason="rate_limited")
    soon = reports.add(seconds=0.2, sent=3, answered=3, answered_now=3)
    later = reports.add(seconds=0.9, sent=3, answered=3, answered_now=3)

    assert first.rate == soon.rate
    assert soon.rate < later.rate


def test_second_refusal_corrects_a_guess_by_more_than_a_measure():
    reports = Reports()
    for _ in range(4):
        reports.add(sent=10, answered=10, answered_now=10)
    guess = reports.add(sent=10, answered=9, refused=1, refused_now=1, reason="rate_limited").rate

    reports.add(sent=5, answered=5, answered_now=5)
    measure = reports.add(sent=5, answered=4, refused=1, refused_now=1, reason="rate_limited").rate
    for _ in range(3):
        reports.add(sent=1, answered=1, answered_now=1)
    last = reports.add(sent=2, answered=1, refused=1, refused_now=1, reason="rate_limited").rate

    assert 0.6 * guess <= measure < 0.85 * guess
    assert last > 0.84 * measure


def test_process_between_two_calls_still_wants_its_share():
    demand = Demand()

    assert 1 == demand.seen(10.0, 1)
    assert 1 == demand.seen(10.2, 0)
    assert 1 == demand.seen(10.6, 0)
    assert 0 == demand.seen(11.2, 0)


def test_process_that_paused_wants_what_it_wants_now():
    demand = Demand()

    demand.seen(10.0, 64)

    assert 2 == demand.seen(13.0, 2)


def test_calls_that_nobody_answers_are_no_refusals_until_there_are_a_few():
    reports = Reports()
    reports.add(sent=10, answered=10, answered_now=10)

    one = reports.add(sent=2, answered=1, lost_now=1, reason="connection_lost")
    two = reports.add(sent=2, lost_now=2, reason="connection_lost")
    away = reports.add(sent=1, lost_now=1, reason="connection_lost")
    longer = reports.add(seconds=1.1, sent=1, lost_now=1, reason="connection_lost")
    back = reports.add(seconds=2.1, sent=1, answered=1, answered_now=1, cured=True)

    assert (None, None) == (one.rest, two.rest)
    assert ("connection_lost", True, 1) == (away.rest.reason, away.rest.probing, away.rest.times)
    assert ("connection_lost", True, 2) == (longer.rest.reason, longer.rest.probing, longer.rest.times)
    assert (None, 0) == (back.rest, back.lost)


def test_failures_of_calls_that_began_together_add_up_until_all_stop():
    reports = Reports()
    reports.state.few = 20

    one = reports.add(sent=64, misconfigured_now=2, reason="answers_unusable")
    nearly = reports.add(misconfigured_now=17, reason="answers_unusable")
    stopped = reports.add(misconfigured_now=2, reason="answers_unusable")

    assert (one.epoch, None) == (nearly.epoch, nearly.rest)
    assert stopped.rest.configuration
    assert nearly.epoch < stopped.epoch
