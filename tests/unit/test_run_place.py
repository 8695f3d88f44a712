"""An output that cannot be written is told before anything is enqueued."""

import pytest

from producer.run.begin import open_journal, require_usable
from producer.run.errors import OutputUnopened, OutputUnusable


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.jsonl"


@pytest.mark.parametrize("name", ["absent", "file"])
def test_folder_that_is_none_is_named_and_no_journal_promised(tmp_path, name):
    (tmp_path / "file").touch()
    out = tmp_path / name / "out.jsonl"

    with pytest.raises(OutputUnopened) as refused:
        open_journal(out)

    why = f"file={out} reason=there is no folder {out.parent}"
    assert f"The output cannot be written; nothing was enqueued: {why}" == str(refused.value)


def test_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    # Who runs the tests may write everywhere.
    monkeypatch.setattr("os.access", lambda _path, _mode: False)
    out = tmp_path / "out.jsonl"
    out.with_name("out.jsonl.journal").mkdir()

    with pytest.raises(OutputUnopened) as refused:
        open_journal(out)

    assert f"the folder {tmp_path} cannot be written (Is a directory)" == refused.value.reason


def test_journal_that_cannot_be_written_is_named(out):
    out.with_name("out.jsonl.journal").mkdir()

    with pytest.raises(OutputUnopened) as refused:
        open_journal(out)

    assert "out.jsonl.journal: Is a directory" == refused.value.reason


@pytest.mark.parametrize("ending", ["", ".part", ".journal", ".errors.jsonl"])
def test_output_that_is_an_input_is_refused(out, ending):
    place = out.with_name(f"{out.name}{ending}")

    with pytest.raises(OutputUnusable) as refused:
        require_usable(out, (str(place),))

    assert {"file": str(place), "reason": "is an input of the run"} == refused.value.data


def test_way_out_is_named_where_the_shell_may_have_named_the_output(out):
    with pytest.raises(OutputUnusable) as refused:
        require_usable(out, ("rows.jsonl", str(out)))

    assert "is an input of the run (a quoted glob leaves it out)" == refused.value.reason
