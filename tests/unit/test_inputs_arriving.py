import os
import threading

import pytest

from askonce.rows import Row
from producer.inputs import InputInvalid, Reading, as_they_come, open_inputs
from tests.deadlines import stretched


def numbers(rows):
    return [row.number for row in rows if row is not None]


@pytest.fixture
def pipe(tmp_path):
    """A named pipe: its path, and its end for the writer, which opens once it is read."""
    path = tmp_path / "rows.jsonl"
    os.mkfifo(path)
    return path


#: The text of a row where it ends, and what comes before the first one.
FORMS = {
    "jsonl": (b"", b'{"n":1}\n'),
    "csv": (b"n,m\n", b"1,2\n"),
    "json": (b"", b'{\n "n":1\n}'),
}


@pytest.mark.parametrize("form", FORMS)
def test_row_that_has_come_does_not_wait_for_the_next_one(pipe, form):
    rows = as_they_come(open_inputs([str(pipe)], Reading(format=form)).rows())
    assert next(rows) is None  # nobody writes yet
    header, row = FORMS[form]

    with pipe.open("wb", buffering=0) as writer:
        writer.write(header)
        for number in (1, 2):
            writer.write(row)
            assert number == next(row for row in rows if row is not None).number
            assert next(rows) is None

    assert [] == numbers(rows)


def test_all_rows_come_in_their_order():
    assert [*range(1, 2001)] == numbers(as_they_come(Row(number=n, payload={}) for n in range(1, 2001)))


def test_error_comes_after_the_rows_before_it_are_handed_on():
    def broken():
        yield Row(number=1, payload={})
        raise InputInvalid("stdin", "is broken", 2)

    seen = []
    with pytest.raises(InputInvalid, match=r"^stdin:2: is broken$"):
        seen.extend(as_they_come(broken()))

    # The None lets the run enqueue what it has.
    assert [1, None] == [row and row.number for row in seen]


def test_rows_are_read_ahead_only_so_far(monkeypatch):
    read, stopped, left = [], threading.Event(), threading.Event()

    class Watched(threading.Condition):
        def wait_for(self, predicate, timeout=None):
            if not predicate():
                stopped.set()
            return super().wait_for(predicate, timeout)

    def many():
        try:
            for number in range(1, 5001):
                read.append(number)
                yield Row(number=number, payload={})
        finally:
            # A reader that stops nowhere reads them all.
            stopped.set()
            left.set()

    monkeypatch.setattr("producer.inputs.arriving.Condition", Watched)
    rows = as_they_come(many())
    first = next(rows)
    assert stopped.wait(stretched(10))
    rows.close()

    assert left.wait(stretched(10))
    # At most 500 came with the first one, as many waited, and one was in the reader's hand.
    assert len(read) <= 1002, first
