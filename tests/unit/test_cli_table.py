"""What ``runs list`` and ``cost`` show fits into a terminal of 80 columns, whatever names there are."""

import pytest

from askonce.cli.table import Table, width_of

HEADS = ["name", "of", "calls", "cost_usd", "output_tokens", "input_tokens"]


def row(name, of="a"):
    return [name, of, "3", "0.004260", "1800", "630"]


@pytest.fixture
def shown():
    """Lay out rows with these names."""

    def lay_out(*names, room=None, of="a"):
        rows = [HEADS, *(row(name, of) for name in names)]
        return Table(rows, names=2, left=2, optional=2).fitted(room)

    return lay_out


def test_table_has_names_on_the_left_and_numbers_on_the_right(shown):
    lines, left_out = shown("rates.fetch", "x")

    assert [
        "name         of  calls  cost_usd  output_tokens  input_tokens",
        "rates.fetch  a       3  0.004260           1800           630",
        "x            a       3  0.004260           1800           630",
    ] == lines
    assert [] == left_out


def test_columns_that_may_be_missing_make_room(shown):
    lines, left_out = shown("rates.fetch", room=50)

    assert [
        "name         of  calls  cost_usd  output_tokens",
        "rates.fetch  a       3  0.004260           1800",
    ] == lines
    assert ["input_tokens"] == left_out


def test_long_names_have_a_line_of_their_own(shown):
    lines, left_out = shown("r" * 60, "x", room=72, of="b" * 10)

    assert [
        "name  of",
        "  calls  cost_usd  output_tokens  input_tokens",
        f"{'r' * 60}  {'b' * 10}",
        "      3  0.004260           1800           630",
        f"x  {'b' * 10}",
        "      3  0.004260           1800           630",
    ] == lines
    assert [] == left_out


@pytest.mark.parametrize("name", ["順序表", "São", "Sa\u0303o", "a\u200db"])
def test_columns_are_under_each_other_also_with_wide_and_joined_letters(shown, name):
    lines, _ = shown(name, "x" * 8)

    assert 1 == len({width_of(line) for line in lines})
    assert {"順序表": 6, "São": 3, "Sa\u0303o": 3, "a\u200db": 2}[name] == width_of(name)


def test_column_without_a_cell_is_not_shown(shown):
    assert "name         calls" in shown("rates.fetch", of="")[0][0]


def test_names_that_are_wider_than_the_terminal_are_kept_whole(shown):
    lines, left_out = shown("r" * 60, room=62, of="b" * 10)

    assert (["r" * 60, "b" * 10], []) == (lines[2:4], left_out)


def test_table_without_a_row_has_its_heads(shown):
    assert ["name  of  calls  cost_usd  output_tokens  input_tokens"] == shown()[0]
