import os
import tracemalloc

import pytest

from producer.inputs import InputChanged, InputInvalid, Reading, open_inputs


@pytest.fixture
def orders(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text("id\n" + "".join(f"{number}\n" for number in range(50_000)))
    return path


def digest_of(*paths, **reading):
    return open_inputs([str(path) for path in paths], Reading(**reading)).digest()


def test_digest_is_of_contents_their_order_and_how_they_are_read(tmp_path):
    a, b, c = (tmp_path / f"{name}.jsonl" for name in "abc")
    a.write_text('{"n":1}\n')
    b.write_text('{"n":2}\n')
    c.write_text('{"n":1}\n')
    digests = [
        digest_of(a, b),
        digest_of(b, a),
        digest_of(a),
        digest_of(b),
        digest_of(a, columns={"m": "n"}),
    ]

    assert len(digests) == len(set(digests))
    assert digest_of(a) == digest_of(c)


def test_digest_of_transcripts_has_their_ids(tmp_path):
    (tmp_path / "a.txt").write_text("Ana: oi")
    (tmp_path / "b.txt").write_text("Ana: oi")

    assert digest_of(tmp_path / "a.txt") != digest_of(tmp_path / "b.txt")


def test_rows_can_be_read_again(orders):
    inputs = open_inputs([str(orders)])

    assert inputs.replayable
    assert [50_000, 50_000] == [len(list(inputs.rows())) for _ in range(2)]


def edit(path):
    path.write_text("id\n1\n")


def append(path):
    with path.open("a") as file:
        file.write("50000\n")


def replace(path):
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.replace(path)


def touch(path):
    os.utime(path, ns=(1, 1))


@pytest.mark.parametrize("change", [edit, append, replace, touch], ids=lambda change: change.__name__)
def test_file_that_changes_is_reported_before_and_after_its_rows(orders, change):
    inputs = open_inputs([str(orders)])
    under_way = inputs.rows()
    next(under_way)

    change(orders)

    assert str(orders) == inputs.changed()
    for rows in (under_way, inputs.rows()):
        with pytest.raises(InputChanged, match=r"orders\.csv: was changed since it was opened$"):
            list(rows)


def test_file_that_vanishes_is_reported(orders):
    inputs = open_inputs([str(orders)])
    assert inputs.changed() is None
    under_way = inputs.rows()
    next(under_way)

    orders.unlink()

    assert str(orders) == inputs.changed()
    for rows in (under_way, inputs.rows()):
        with pytest.raises(InputChanged, match=r"orders\.csv: is no longer there$"):
            list(rows)


def test_ragged_end_of_a_file_that_is_cut_while_it_is_read_is_a_change(orders):
    inputs = open_inputs([str(orders)])
    rows = inputs.rows()
    next(rows)

    orders.write_text('id\n"')

    with pytest.raises(InputChanged):
        list(rows)


def test_check_reads_each_file_once(orders, monkeypatch):
    inputs = open_inputs([str(orders)])
    assert 50_000 == inputs.check()
    orders.unlink()

    assert 50_000 == inputs.check()
    assert 64 == len(inputs.digest())


def test_bad_file_is_refused_before_the_rows_of_the_others(orders, tmp_path):
    (tmp_path / "ragged.csv").write_text("a,b\n1\n")

    with pytest.raises(InputInvalid, match=r"ragged\.csv:2: "):
        open_inputs([str(orders), str(tmp_path / "ragged.csv")]).check()


@pytest.mark.parametrize("form", ["jsonl", "json", "csv"])
def test_memory_does_not_grow_with_the_rows(tmp_path, form):
    path, line = tmp_path / f"rows.{form}", '{"n":"' + "x" * 1000 + '"}'
    with path.open("w") as file:
        file.write({"json": "[", "csv": "n\n", "jsonl": ""}[form])
        file.write({"json": line, "csv": "", "jsonl": ""}[form])
        for _ in range(20_000):
            file.write({"json": f",\n{line}", "csv": "x" * 1000 + "\n", "jsonl": f"{line}\n"}[form])
        file.write({"json": "]", "csv": "", "jsonl": ""}[form])
    inputs = open_inputs([str(path)])
    tracemalloc.start()
    try:
        assert inputs.check() == sum(1 for _ in inputs.rows())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 6 << 20
