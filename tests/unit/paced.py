"""A provider's pace through a sequence of reports, on a clock of its own."""

from askonce.pace.law import adjusted
from askonce.pace.limit import level_of
from askonce.pace.state import Report, State


class Course:
    """What the law makes of the calls of some processes."""

    def __init__(self, now=1000.0, **state):
        self.now, self.state = now, State(at=now, **{"limit": 4.0, **state})
        self._numbers = 0

    def report(self, *, wanted=64, **met):
        """Return a new report of calls that began under the state of now."""
        self._numbers += 1
        return Report(**{"number": self._numbers, "epoch": self.state.epoch, "wanted": wanted, **met})

    def take(self, after=0.5, **reports):
        """Let all processes report *after* some seconds."""
        self.now += after
        self.state = adjusted(self.state, self.now, reports)
        return self.state

    def meet(self, after=0.5, **met):
        """Let one process report *after* some seconds."""
        return self.take(after, a=self.report(**met))

    def answer(self, count, after=0.5, *, each=1.0, among=4.0, **met):
        """Let *count* calls be answered in *each* seconds, while *among* were open."""
        took = {str(level_of(among)): (count, count * each, count * each**2)} if count else {}
        return self.meet(
            after, **{"sent": count, "answered": count, "answered_now": count, "seconds": took, **met}
        )

    def refuse(self, count, after=0.5, *, sent=None, reason="rate_limited", **met):
        """Let *count* of the calls that were *sent* be refused."""
        refused = {"refused": count, "refused_now": count, "reason": reason}
        return self.meet(after, sent=count if sent is None else sent, **refused, **met)

    @property
    def rest(self):
        """The seconds of the rest that began now."""
        return self.state.rest.until - self.now


def round_trips(course, count, latency, most=64):
    """Let as many calls as may be open end, *count* times; yield the limits."""
    for _ in range(count):
        among = int(min(course.state.limit, most))
        took = [latency(among) for _ in range(among)]
        total, squares = sum(took), sum(each**2 for each in took)
        met = {"sent": among, "answered": among, "answered_now": among, "wanted": most}
        course.meet(max(took), seconds={str(level_of(among)): (among, total, squares)}, **met)
        yield course.state.limit
