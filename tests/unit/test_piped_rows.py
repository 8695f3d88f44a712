"""A pipe that is read again brings what it brought before, or its run stops in one line."""

from dataclasses import replace

import pytest

from askonce.rows import BadRow, Row
from producer.inputs import InputChanged
from producer.run.begin import go_on, open_journal
from producer.run.chosen import unless_changed
from producer.run.errors import JournalInvalid
from producer.run.journal import Round
from producer.run.output import beside

ROUND = Round(name="n", uid="u", task="orders.enrich", version="1", started=7.0, holder="host:1")
ROWS = (
    Row(number=1, payload={"order_id": "1", "nota": "a"}),
    BadRow(number=2, field="", reason="not JSON"),
    Row(number=3, payload={"order_id": "3", "valor": 1 << 70, "odd": "\ud800"}),
)
CHANGED = "is another row than when the run began: choose another --out"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.jsonl"


@pytest.fixture
def read(out):
    """One start that reads these rows, and sends what it has read."""

    def read(*rows, all_rows=True, round_=ROUND):
        with open_journal(out) as journal:
            past, _ = go_on(journal, round_, out)
            found = unless_changed([*rows, None], past.contents, journal.keep_content, all_rows=all_rows)
            numbers = [row.number for row in found if row is not None]
            journal.send(numbers)
        return numbers

    return read


def test_rows_that_are_the_same_are_read_again_and_more_may_follow(read):
    read(*ROWS[:2])

    assert [1, 2, 3] == read(*ROWS)
    assert [1, 2, 3] == read(*ROWS)


@pytest.mark.parametrize(
    "other",
    [
        Row(number=1, payload={"order_id": "1", "nota": "b"}, place="stdin:1"),
        BadRow(number=1, field="", reason="not JSON", place="stdin:1"),
        Row(number=1, payload={"order_id": 1, "nota": "a"}, place="stdin:1"),
    ],
    ids=["other content", "no row", "other type"],
)
def test_row_with_the_same_key_and_other_content_is_another_row(read, other):
    read(*ROWS)

    with pytest.raises(InputChanged) as refused:
        read(other, *ROWS[1:])

    assert f"stdin:1: {CHANGED}" == str(refused.value)


def test_row_that_was_bad_and_is_not_any_more_is_another_row(read):
    read(*ROWS)

    with pytest.raises(InputChanged, match=f"row 2: {CHANGED}"):
        read(ROWS[0], Row(number=2, payload={}), ROWS[2])


def test_rows_are_compared_also_where_they_are_made_anew(read):
    read(*ROWS)

    with pytest.raises(InputChanged, match=CHANGED):
        read(Row(number=1, payload={}), round_=replace(ROUND, refresh=True, not_before=9.0))


def test_rows_that_do_not_come_again_are_missed_where_all_are_read(read):
    read(*ROWS)

    assert [1, 2] == read(*ROWS[:2], all_rows=False)
    with pytest.raises(InputChanged, match="row 3: is missing, and was there before"):
        read(*ROWS[:2])


def test_reason_of_a_bad_row_may_be_said_in_other_words(read):
    read(*ROWS)

    assert [1, 2, 3] == read(ROWS[0], BadRow(number=2, field="", reason="no JSON"), ROWS[2])


@pytest.mark.parametrize("content", ["1", "[1]", '[1,"a"]', "[1,18446744073709551615]"])
def test_digest_that_something_else_wrote_is_refused(read, out, content):
    beside(out, "journal").write_text(f'{{"content":{content}}}\n')

    with pytest.raises(JournalInvalid):
        read(*ROWS)
