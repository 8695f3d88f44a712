"""``cache`` shows what is kept, and makes old what was named and nothing else."""

import json
from dataclasses import replace
from functools import partial

import pytest

from askonce.controls import Mark
from askonce.due import Walked
from askonce.errors import Permanent, StoreUnavailable
from askonce.key import identify
from askonce.outcomes import Admitted, Hit
from askonce.record import Status

MARKER = "the payload's secret"


@pytest.fixture
def verb(verb):
    return partial(verb, "cache")


@pytest.fixture
def scene(scene):
    scene.use(scene.store, replace(scene.spec, tags=lambda row: [f"currency-{row['currency']}", "rates"]))
    return scene


def answered(scene, currency="BRL", **options):
    return scene.answered({"currency": currency, "note": MARKER}, lambda: {"rate": MARKER}, **options).key


def again(scene, currency="BRL", **options):
    """Ask for a row that may have its answer."""
    return scene.ask({"currency": currency, "note": MARKER}, **options)


def acts(scene):
    return [(each.act, each.what, each.note) for each in scene.store.audit.entries()]


def shown(told):
    assert 0 == told.exit_code, told.output
    return [json.loads(line) for line in told.stdout.splitlines()]


def refused(told):
    assert (2, "") == (told.exit_code, told.stdout)
    return told.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "what", ["KEY", "rates.fetch currency=BRL", 'rates.fetch {"currency":"BRL","note":"n"}']
)
def test_answer_is_shown_by_each_of_its_names_without_its_value(scene, verb, what):
    key = answered(scene)
    scene.clock.advance(20)

    told = verb("get", *what.replace("KEY", key).split(), "--json")

    [seen] = shown(told)
    assert (key, "rates.fetch", "fresh", "done", "cache") == tuple(
        seen[name] for name in ("key", "task", "state", "status", "source")
    )
    # A part of the time is drawn, so that answers of one moment go stale one after the other.
    # What it took to store it is none of the scene's time.
    times = [seen[f"{name}_seconds"] for name in ("age", "fresh_for", "kept_for")]
    assert pytest.approx([20.0, 34.0, 580.0], abs=1.0) == times
    assert ["currency-BRL", "rates"] == seen["tags"]
    assert MARKER not in told.output


def test_value_is_shown_only_where_it_is_wanted(scene, verb):
    key = answered(scene)

    assert {"rate": MARKER} == shown(verb("get", key, "--value", "--json"))[0]["value"]
    assert MARKER not in verb("get", key).output
    assert "currency-BRL rates" in verb("get", key).stdout


def test_answer_that_is_not_there_is_said_why(scene, verb, raising):
    queued = scene.ask().key
    absent = verb("get", "a" * 64)
    waiting = verb("get", queued)
    scene.work(raising(Permanent("no_such_currency")))
    failed = verb("get", queued)

    assert [1, 75, 1] == [absent.exit_code, waiting.exit_code, failed.exit_code]
    assert "the job is absent" in absent.stderr
    assert "no_such_currency" in failed.stderr


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["currency=BRL"], "'currency=BRL' is no key: 64 hexadecimal digits, or a TASK and its fields"),
        (["rates", "currency=BRL"], "unknown task 'rates'; there are: rates.fetch"),
        (["rates.fetch", "day=1"], "an answer of rates.fetch is named by all key fields: currency"),
        (["rates.fetch", '{"currency":'], "the payload is no JSON"),
        (["rates.fetch", "BRL"], "'BRL' is no FIELD=VALUE"),
        (["a" * 64, "--tenant", "acme"], "--tenant is for the fields of a TASK: a key has its tenant in it"),
    ],
    ids=str,
)
def test_name_that_is_none_is_refused(verb, words, why):
    assert f"Error: {why}" == refused(verb("get", *words))


def test_answers_are_listed_by_what_they_are(scene, verb):
    old = answered(scene, "BRL", tenant="acme")
    scene.clock.advance(60)
    new = answered(scene, "USD")

    def keys(*options):
        return {each["key"] for each in shown(verb("list", *options, "--json"))}

    assert {old, new} == keys() == keys("--task", "rates.fetch") == keys("--tag", "rates")
    assert {old} == keys("--stale") == keys("--tenant", "acme") == keys("--tag", "currency-BRL")
    assert {new} == keys("--fresh") == keys("--tenant", "")
    assert set() == keys("--tag", "currency")


def test_list_has_a_limit_and_says_so(scene, verb):
    for currency in ("BRL", "USD", "EUR"):
        answered(scene, currency)

    told = verb("list", "--limit", "2")

    assert 3 == len(told.stdout.splitlines())
    assert "2 shown of about 3 that are kept, there are more: --limit shows them\n" == told.stderr
    assert MARKER not in told.output


def test_list_of_an_unknown_task_doubts_its_name(scene, verb):
    told = verb("list", "--task", "rates")

    assert (0, "") == (told.exit_code, told.stdout)
    assert "no task of this application has the name 'rates'" in told.stderr


def test_hits_misses_and_what_they_avoided_are_counted(scene, verb):
    answered(scene)
    again(scene)
    again(scene)
    answered(scene, "USD")

    lines = shown(verb("stats", "--json"))

    assert ("rates.fetch", 2, 0, 2, 0.5) == tuple(
        lines[0][name] for name in ("task", "hits", "stale", "misses", "hit_rate")
    )
    assert (True, 2, None) == (lines[1]["total"], lines[1]["hits"], lines[1]["avoided_usd"])
    assert 2 == lines[2]["kept"]
    table = verb("stats")
    assert ["rates.fetch", "2", "0", "2", "0", "50.0%", ">=0.000000"] == table.stdout.splitlines()[1].split()
    assert "about 2 answers are kept" in table.stderr


def test_store_without_any_counter_has_stats(verb):
    [total, kept] = shown(verb("stats", "--json"))

    assert (0, None, 0) == (total["hits"], total["hit_rate"], kept["kept"])


MARKS = {
    "--task rates.fetch": True,
    "--tenant acme": True,
    "--tag currency-BRL": True,
    "--version rates.fetch:1": True,
    "--tenant other": False,
    "--tag currency-USD": False,
    "--version rates.fetch:2": False,
}


@pytest.mark.parametrize("mode", ["", "--remove", "--expire"])
@pytest.mark.parametrize("option", MARKS)
def test_answers_of_one_name_are_made_old_and_written_down(scene, verb, option, mode):
    key = answered(scene, tenant="acme")

    told = verb("invalidate", *option.split(), *mode.split(), "--note", "wrong rates")

    assert 0 == told.exit_code, told.output
    state = Status.STALE if mode == "--expire" else Status.ABSENT
    assert (state if MARKS[option] else Status.DONE) is scene.read(key).status
    written = f"{option} --expire" if mode == "--expire" else option
    assert [("invalidate", written, "wrong rates")] == acts(scene)
    assert (Admitted if MARKS[option] else Hit) is type(again(scene, tenant="acme"))


@pytest.mark.parametrize("mode", ["", "--expire"])
@pytest.mark.parametrize("what", ["KEY", "rates.fetch currency=BRL"])
def test_named_job_is_made_old_and_no_other(scene, verb, what, mode):
    key, other = answered(scene), answered(scene, "USD")

    told = verb("invalidate", *what.replace("KEY", key).split(), *mode.split())

    assert (0, f"1 {'expired' if mode else 'invalidated'}\n") == (told.exit_code, told.stdout)
    assert (Status.STALE if mode else Status.ABSENT) is scene.read(key).status
    assert Status.DONE is scene.read(other).status
    [(act, written, _)] = acts(scene)
    assert ("invalidate", False) == (act, "BRL" in written)
    assert bool(mode) == written.endswith("--expire")


def test_key_without_a_record_is_named(scene, verb):
    told = verb("invalidate", answered(scene), "b" * 64)

    assert (1, "1 invalidated\n") == (told.exit_code, told.stdout)
    assert f"{'b' * 64}: no record has this key\n" == told.stderr


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "name jobs, or exactly one of --task, --tenant, --tag, --version"),
        (
            ["a" * 64, "--task", "rates.fetch"],
            "name jobs, or exactly one of --task, --tenant, --tag, --version",
        ),
        (["--task", "rates.fetch", "--tag", "red"], "name one of --task, --tag, not several"),
        (["--task", "rates"], "unknown task 'rates'; there are: rates.fetch"),
        (["--version", "rates:2"], "unknown task 'rates'; there are: rates.fetch"),
        (["--version", "rates.fetch"], "--version: names a task and its version, such as rates.fetch:2"),
        (["--tag", ""], "--tag: a mark names a tag: 1 to 100 printable characters"),
        (["--tag", "x" * 101], "--tag: a mark names a tag: 1 to 100 printable characters"),
        (["--tenant", "a\nb"], "--tenant: a mark names a tenant: 1 to 1000 printable characters"),
        (["--tag", "red", "--note", "a\nb"], "--note: must be one line of printable characters"),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused_and_changes_nothing(scene, verb, words, why):
    key = answered(scene)

    assert f"Error: {why}" == refused(verb("invalidate", *words))
    assert (Status.DONE, []) == (scene.read(key).status, acts(scene))


def test_nothing_is_made_old_where_it_cannot_be_written_down(scene, verb, monkeypatch):
    key = answered(scene)
    refusal = StoreUnavailable(verb="audit", reason="noperm")
    monkeypatch.setattr(scene.store.audit, "note", lambda entry: (_ for _ in ()).throw(refusal))

    told = verb("invalidate", "--task", "rates.fetch")

    assert (69, Status.DONE) == (told.exit_code, scene.read(key).status)


def test_full_room_for_marks_ends_with_one_line(scene, verb, monkeypatch):
    monkeypatch.setattr("askonce.adapters.memory.controls.MAX_MARKS", 1)
    scene.store.controls.mark(Mark("tag", "red"))

    told = verb("invalidate", "--tag", "blue")

    assert (69, 1) == (told.exit_code, len(told.stderr.splitlines()))
    assert "marks_full" in told.stderr


def test_mark_lasts_as_long_as_an_answer_of_an_older_release_may(scene, verb, monkeypatch):
    monkeypatch.setattr("askonce.adapters.memory.controls.MAX_MARKS", 1)
    scene.use(scene.store, replace(scene.spec, hard_ttl=30 * 86_400.0))
    verb("invalidate", "--tag", "red")
    scene.clock.advance(29 * 86_400.0)
    early = verb("invalidate", "--tag", "blue")
    scene.clock.advance(2 * 86_400.0)

    assert (69, 0) == (early.exit_code, verb("invalidate", "--tag", "blue").exit_code)


@pytest.mark.parametrize("option", [[], ["--task", "rates.fetch"]], ids=str)
def test_clear_removes_all_and_is_written_down(scene, verb, option):
    key = answered(scene)

    told = verb("clear", "--yes", *option)

    assert (0, Status.ABSENT) == (told.exit_code, scene.read(key).status)
    assert [("invalidate", " ".join(option) or "--all", "")] == acts(scene)


def test_clear_without_a_person_must_be_meant(scene, verb):
    key = answered(scene)

    assert "Error: without a terminal, --yes says that it is meant" == refused(verb("clear"))
    assert Status.DONE is scene.read(key).status
    assert "Error: unknown task 'rates'; there are: rates.fetch" == refused(
        verb("clear", "--task", "rates", "--yes")
    )


@pytest.mark.parametrize(("reply", "status"), [(True, Status.ABSENT), (False, Status.DONE)])
def test_clear_asks_a_person_and_says_how_many_there_are(scene, verb, monkeypatch, reply, status):
    key, asked = answered(scene), []
    monkeypatch.setattr("askonce.cli.cache.is_terminal", lambda stream: True)
    monkeypatch.setattr("click.confirm", lambda text, **_: asked.append(text) or reply)

    told = verb("clear")

    assert (0 if reply else 1, status) == (told.exit_code, scene.read(key).status)
    assert ["Remove all answers? About 1 answer of all tasks are kept."] == asked


@pytest.fixture
def rows(tmp_path):
    """Write rows to a file; return its name."""

    def write(*rows):
        file = tmp_path / "rows.jsonl"
        file.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
        return file

    return write


def test_answer_that_a_walk_meets_twice_is_listed_once(scene, verb, monkeypatch):
    key = answered(scene)
    met = scene.store.due.answers([Walked(int(key[:2], 16))])[0]
    pages = iter([(met, [Walked(0, 1)]), (met, [])])
    monkeypatch.setattr(scene.store.due, "answers", lambda *_: next(pages, ([], [])))

    assert [key] == [each["key"] for each in shown(verb("list", "--json"))]


def test_rows_are_asked_for_ahead_and_fresh_ones_cost_nothing(scene, verb, rows):
    answered(scene, "BRL")
    scene.ask({"currency": "USD"})
    file = rows(
        {"currency": "BRL", "note": MARKER}, {"currency": "USD"}, {"currency": "EUR"}, {"currency": "CHF"}
    )

    told = verb("warm", "rates.fetch", file, "--json")

    [counts] = shown(told)
    assert {"fresh_already": 1, "asked": 2, "under_way": 1, "failing": 0, "refused": 0} == counts
    assert 4 == len(scene.sender.sent)
    assert "1 fresh already, 0 asked, 3 under way" in verb("warm", "rates.fetch", file).stdout


def test_row_that_cannot_be_asked_for_is_named_and_others_are_asked(scene, verb, rows):
    told = verb("warm", "rates.fetch", rows({"currency": "BRL"}, "no json", {"currency": "EUR"}))

    assert (1, "0 fresh already, 2 asked, 0 under way, 0 failing, 1 refused\n") == (
        told.exit_code,
        told.stdout,
    )
    assert "row 2: " == told.stderr[:7]


def test_no_more_new_jobs_are_made_than_were_allowed(scene, verb, rows):
    answered(scene, "BRL")
    file = rows(*({"currency": each, "note": MARKER} for each in ("BRL", "USD", "EUR", "CHF")))

    told = verb("warm", "rates.fetch", file, "--max-calls", "2")

    assert (3, 3) == (told.exit_code, len(scene.sender.sent))
    assert told.stdout.endswith("stopped at --max-calls\n")


def test_jobs_that_make_stale_answers_anew_count_as_new_ones(scene, verb, rows):
    scene.use(scene.store, replace(scene.spec, soft_ttl=60.0, stale_while_revalidate=600.0))
    for currency in ("BRL", "USD", "EUR"):
        answered(scene, currency)
    scene.clock.advance(100)
    sent = len(scene.sender.sent)
    file = rows(*({"currency": each, "note": MARKER} for each in ("BRL", "USD", "EUR")))

    told = verb("warm", "rates.fetch", file, "--max-calls", "1")

    assert (3, 1) == (told.exit_code, len(scene.sender.sent) - sent)
    assert "0 fresh already, 1 asked, 0 under way" in told.stdout


def test_warm_of_an_unknown_task_or_file_is_refused(verb, rows):
    assert "unknown task 'rates'" in refused(verb("warm", "rates", rows()))
    assert "no-such-file: No such file or directory" in refused(verb("warm", "rates.fetch", "no-such-file"))


def test_tenant_is_part_of_the_key_of_each_row(scene, verb, rows):
    verb("warm", "rates.fetch", rows({"currency": "BRL"}), "--tenant", "acme")

    assert identify(scene.spec, {"currency": "BRL"}, "acme").key == scene.sender.sent[0].job.key
