"""The paces of some processes on one board, whose clock and whose exchanges only a test moves."""

from contextlib import contextmanager
from threading import Thread

from askonce.adapters.memory import MemoryStore
from askonce.errors import Postponed, StoreUnavailable
from askonce.pace import Pace, Provider, Rest, State
from tests.deadlines import eventually, stretched


class Ticks:
    """Seconds that only a test moves."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Boards:
    """Boards of a store that may be down."""

    def __init__(self, boards):
        self._boards, self.is_down, self.exchanges = boards, False, 0

    def exchange(self, *args):
        self.exchanges += 1
        return self._asked().exchange(*args)

    def propose(self, *args):
        return self._asked().propose(*args)

    def _asked(self):
        if self.is_down:
            raise StoreUnavailable(verb="exchange", reason="TimeoutError")
        return self._boards


class Processes:
    """Each has its pace; its thread is the test."""

    def __init__(self, heard):
        self.ticks, self.heard, self.paces, self.are_ending = Ticks(), heard, [], False
        self.boards = Boards(MemoryStore(self.ticks).boards)

    def start(self, **provider):
        """Return the pace of a new process that knows its share."""
        pace = self.add(**provider)
        self.exchange(pace)
        return pace

    def add(self, **provider):
        """Return the pace of a new process that knows nothing yet."""
        pace = Pace(
            self.boards,
            Provider(**{"board": "service", "subject": "host model", **provider}),
            listen=self.heard.append,
            clock=self.ticks,
            is_ending=lambda: self.are_ending,
        )
        self.paces.append(pace)
        return pace

    def exchange(self, *paces, after=0.0):
        """Let all processes exchange once, or the *paces*."""
        self.ticks.now += after
        for pace in paces or self.paces:
            pace._member.exchange()

    def follow(self, **state):
        """Let all processes follow this state."""
        seen = self.boards.exchange("service", "test", b"", 1.0)
        # Those that exchange first must not find it old.
        new = State(**{"limit": 4.0, "epoch": 9, "at": self.ticks.now, **state})
        assert self.boards.propose("service", seen.version, new.encode())
        self.exchange()

    def look_back(self, **rest):
        """Let all processes follow the end of a rest: one call looks if the provider is back."""
        now = self.ticks.now
        self.follow(
            rest=Rest(**{"until": now, "since": now, "reason": "overloaded", "probing": True, **rest})
        )


class Caller:
    """A thread that begins a call, and what it got."""

    def __init__(self, pace, subject):
        self.pace, self.subject, self.turn, self.error = pace, subject, None, None
        self._thread = Thread(target=self._begin, daemon=True)

    def _begin(self):
        try:
            self.turn = self.pace.begin(self.subject)
        except Postponed as error:
            self.error = error

    @property
    def is_done(self):
        return not self._thread.is_alive()

    def start(self):
        """Begin; return when it waits, or is done."""
        before = len(self.pace._queue)
        self._thread.start()
        eventually(lambda: self.is_done or len(self.pace._queue) > before)
        return self

    def get(self):
        """Return its turn."""
        self._thread.join(stretched(10))
        assert self.is_done
        if self.error is not None:
            raise self.error
        return self.turn


@contextmanager
def callers(*of):
    """Start a caller for each pace and subject in *of*; let them all end."""
    started = [Caller(pace, subject).start() for pace, subject in of]
    yield started
    for each in started:
        each.pace._clock.now += 100.0
        each.pace._member.exchange()
    eventually(lambda: all(each.is_done for each in started))


def raising(error):
    def send(_turn):
        raise error

    return send


def real_pace(processes, **provider):
    """A pace on the real clock, whose exchanges the test makes."""
    # Another member of the board would have a part of the limit.
    pace = Pace(processes.boards, processes.add(**provider)._member._provider)
    pace._member.exchange()
    return pace
