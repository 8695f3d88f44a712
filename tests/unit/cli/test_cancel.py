"""``cancel`` ends what is queued and unpaid, says what became of the rest, and ends nothing on a doubt."""

import json

import pytest

from askonce.key import identify
from askonce.record import BUCKETS
from askonce.store import Cancellation, Cancelled, Lease

KEY = "0" * 64


@pytest.fixture
def ask(scene):
    """Enqueue a job of a run for each number; return their keys."""

    def ask(*numbers, run=""):
        payloads = [{"currency": f"C{n}", "day": "x"} for n in numbers]
        return [scene.ask(payload, run=run).key for payload in payloads]

    return ask


def flights(scene, keys):
    return [record.flight for record in scene.store.read(keys)]


def test_run_is_cancelled_but_for_what_another_run_asked_for(scene, verb, ask):
    own, _ = ask(1, 2, run="monday")
    [shared] = ask(2, run="tuesday")

    told = verb("cancel", "monday")

    assert (0, ["idle", "queued"]) == (told.exit_code, flights(scene, [own, shared]))
    assert "monday: 1 cancelled, 1 left to another run that asked for them too\n" == told.stdout


def test_producer_of_the_run_is_asked_to_stop_before_its_jobs_end(scene, verb, ask, monkeypatch):
    scene.store.runs.hold("monday", "host:1", 60.0, "rates.fetch", {})
    ask(1, run="monday")
    wishes, end = [], scene.store.cancel_run

    def cancel_run(*arguments):
        wishes.append(scene.store.runs.get("monday").stop)
        return end(*arguments)

    monkeypatch.setattr(scene.store, "cancel_run", cancel_run)

    told = verb("cancel", "monday", "--note", "wrong file", "--json")

    assert {"ana@laptop: wrong file"} == set(wishes)
    shown = json.loads(told.stdout)
    assert ("monday", 1, True) == (shown["what"], shown["cancelled"], shown["producer_asked_to_stop"])


def test_call_under_way_ends_by_itself(scene, verb, ask):
    [key] = ask(1, run="monday")
    job = scene.delivery().job
    scene.store.start(job, Lease(key, "owner", 30.0))

    told = verb("cancel", "monday")

    assert "monday: 1 under way: they end by themselves\n" == told.stdout
    assert ["running"] == flights(scene, [key])


def test_keys_are_cancelled_whatever_run_asked_for_them(scene, verb, ask):
    keys = ask(1, 2, run="monday")
    ask(2, run="tuesday")

    told = verb("cancel", *keys)

    assert (0, ["idle", "idle"]) == (told.exit_code, flights(scene, keys))


def test_keys_of_one_run_leave_what_is_shared(scene, verb, ask):
    keys = ask(1, 2, run="monday")
    ask(2, run="tuesday")

    verb("cancel", "--run", "monday", *keys)

    assert ["idle", "queued"] == flights(scene, keys)


def rows(keys):
    return [
        {"row": 1, "key": keys[0]},
        {"row": 2, "key": None, "status": "invalid"},
        {"row": 3, "key": keys[1]},
    ]


FILES = {
    "keys.txt": lambda keys: "\n".join(keys) + "\n\n",
    "out.jsonl": lambda keys: "".join(json.dumps(row) + "\n" for row in rows(keys)),
    "OUT.CSV": lambda keys: f"key,result\r\n{keys[0]},{'x' * 200_000}\r\n{keys[1]},\r\n",
    "out.csv": lambda keys: "row,key\r\n" + "".join(f"{r['row']},{r['key'] or ''}\r\n" for r in rows(keys)),
    "out.csv.part": lambda keys: f"row,key\r\n1,{keys[0]}\r\n2,\r\n3,{keys[1]}\r\n",
}


@pytest.mark.parametrize("name", FILES)
def test_file_of_keys_or_of_rows_is_cancelled(scene, verb, ask, tmp_path, name):
    keys = ask(1, 2, run="monday")
    (tmp_path / name).write_text(FILES[name](keys))

    told = verb("cancel", tmp_path / name)

    assert (0, ["idle", "idle"]) == (told.exit_code, flights(scene, keys))
    assert told.stdout.endswith(": 2 cancelled\n")


def test_rows_that_were_submitted_are_cancelled_by_their_task(scene, verb, ask, tmp_path):
    own, shared = ask(1, 2, run="monday")
    ask(2, run="tuesday")
    file = tmp_path / "rows.jsonl"
    file.write_text('{"currency":"C1","day":"x"}\nno row\n{"currency":"C2","day":"x"}\n')

    told = verb("cancel", file, "--task", scene.spec.name, "--run", "monday")

    assert (1, ["idle", "queued"]) == (told.exit_code, flights(scene, [own, shared]))
    words = "1 cancelled, 1 left to another run that asked for them too, 1 invalid: no job"
    assert f"{file}: {words}\n" == told.stdout


def test_tenant_is_part_of_the_key_of_a_submitted_row(scene, verb, tmp_path):
    key = scene.producer.enqueue(scene.spec, {"currency": "C1", "day": "x"}, tenant="acme").key
    file = tmp_path / "rows.jsonl"
    file.write_text('{"currency":"C1","day":"x"}\n')

    verb("cancel", file, "--task", scene.spec.name)
    assert ["queued"] == flights(scene, [key])
    verb("cancel", file, "--task", scene.spec.name, "--tenant", "acme")
    assert ["idle"] == flights(scene, [key])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rows.jsonl", '{{"key":"{key}"}}\n{{"currency":"BRL"}}\n'),
        ("rows.jsonl", '{{"key":"{key}"}}\n{{"key":5}}\n'),
        ("rows.jsonl", '{{"key":"{key}"}}\n{{"key":\n'),
        ("keys.txt", "{key}\nmonday\n"),
        ("rows.csv", "row,id\n1,{key}\n"),
        ("rows.csv", "row,key\n1,{key}\n2,monday\n"),
    ],
)
def test_file_with_a_line_that_is_no_row_of_a_run_ends_nothing(scene, verb, ask, tmp_path, name, text):
    [key] = ask(1, run="monday")
    (tmp_path / name).write_text(text.format(key=key))

    told = verb("cancel", tmp_path / name)

    assert (2, ["queued"]) == (told.exit_code, flights(scene, [key]))
    assert f"{name}:" in told.stderr
    assert key not in told.stderr


def test_long_file_whose_last_line_is_no_key_ends_nothing(scene, verb, ask, tmp_path):
    [key] = ask(1, run="monday")
    (tmp_path / "keys").write_text("\n".join([key, *[KEY] * 2000, "monday"]))

    assert (2, ["queued"]) == (verb("cancel", tmp_path / "keys").exit_code, flights(scene, [key]))


def test_file_that_is_no_text_ends_nothing(scene, verb, ask, tmp_path):
    [key] = ask(1, run="monday")
    (tmp_path / "keys").write_bytes(b"\xff\xfe")

    assert (2, ["queued"]) == (verb("cancel", key, tmp_path / "keys").exit_code, flights(scene, [key]))


def test_what_nobody_knows_is_said_and_the_rest_is_cancelled(scene, verb, ask):
    [key] = ask(1)

    told = verb("cancel", "mnoday", KEY, key)

    assert (1, ["idle"]) == (told.exit_code, flights(scene, [key]))
    unknown = ": is no run that is known, no file and no key"
    assert [f"mnoday{unknown}", f"{KEY}{unknown}"] == told.stderr.splitlines()


@pytest.mark.parametrize("became", Cancellation)
def test_each_thing_that_may_become_of_a_job_has_its_words(scene, verb, monkeypatch, became):
    step = Cancelled({became: 1}, None)
    monkeypatch.setattr(scene.store, "cancel_run", lambda _run, places: [step] * len(places))

    assert verb("cancel", "monday").stdout.startswith(f"monday: {BUCKETS} ")


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_unreadable_record_is_left_alone_and_the_rest_is_cancelled(scene, verb, ask, monkeypatch, options):
    unreadable, key = ask(1, 2)
    end = scene.store.cancel_many

    def cancel_many(keys, run):
        return [Cancellation.UNREADABLE] if keys == [unreadable] else end(keys, run)

    monkeypatch.setattr(scene.store, "cancel_many", cancel_many)

    told = verb("cancel", unreadable, key, *options)

    assert (1, ["queued", "idle"]) == (told.exit_code, flights(scene, [unreadable, key]))
    first, second = told.stdout.splitlines()
    words = '"unreadable": 1' if options else f"{unreadable}: 1 unreadable: left alone"
    assert (True, True) == (words in first, "cancelled" in second)


def test_run_that_is_over_is_known(scene, verb):
    scene.store.runs.hold("monday", "host:1", 60.0, "rates.fetch", {})
    scene.store.runs.release("monday", "host:1", "done", {})

    told = verb("cancel", "monday")

    assert (0, "monday: no job is in flight\n") == (told.exit_code, told.stdout)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        [""],
        ["a\nb"],
        ["a" * 300],
        ["--run", "monday", "tuesday"],
        ["--run", "", KEY],
        ["--task", "", KEY],
        ["--task", "x", KEY],
        ["--tenant", "x", KEY],
        ["--note", "x" * 200, KEY],
    ],
)
def test_what_cannot_be_meant_is_refused(verb, arguments):
    assert 2 == verb("cancel", *arguments).exit_code


def test_key_is_that_of_the_payload(scene, ask):
    assert [identify(scene.spec, {"currency": "C1"}).key] == ask(1)
