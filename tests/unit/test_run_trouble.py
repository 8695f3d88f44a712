"""What a run says while it waits for a server."""

from askonce.errors import SendFailed, StoreUnavailable
from producer.run.trouble import Trouble


class Shown:
    def __init__(self):
        self.notes, self.waits = [], []

    def note(self, line):
        self.notes.append(line)

    def wait(self, why, seconds):
        self.waits.append((why, seconds))

    def go_on(self):
        self.waits.append(None)


def test_server_that_is_away_is_told_once_and_shown_for_as_long_as_it_is():
    shown, now = Shown(), [100.0]
    trouble, down = Trouble(shown, 300.0, lambda: now[0]), StoreUnavailable(verb="read", reason="timeout")
    assert not trouble.lasts

    for _ in range(3):
        trouble.tell(down)
        now[0] += 4.0

    assert [
        "waiting for the store, which does not answer (timeout), for 5 min at most: Ctrl-C ends that"
    ] == (shown.notes)
    assert [0.0, 4.0, 8.0] == [seconds for _, seconds in shown.waits]
    assert trouble.lasts


def test_server_that_answers_again_is_shown_at_once():
    shown = Shown()
    trouble = Trouble(shown, 0.0, lambda: 100.0)
    trouble.over()
    assert [] == shown.waits

    trouble.tell(SendFailed(key="k", job="j"))
    trouble.over()

    assert (None, False) == (shown.waits[-1], trouble.lasts)


def test_server_that_is_away_again_is_told_again():
    shown, now = Shown(), [100.0]
    trouble = Trouble(shown, 0.0, lambda: now[0])

    trouble.tell(SendFailed(key="k", job="j"))
    now[0] += 60.0
    assert not trouble.lasts
    trouble.tell(SendFailed(key="k", job="j"))

    assert ["waiting for the broker, which does not take messages"] * 2 == shown.notes
    assert 0.0 == shown.waits[-1][1]
