import re
from dataclasses import replace
from pathlib import Path

import pytest

from askonce.errors import StoreUnavailable
from askonce.execution import Computed, Deferred, Failed
from askonce.message import Message
from askonce.record import BUCKETS
from askonce.schedule.entry import StoredFile
from tests.jobs import DELIVERED
from tests.unit.schedule.conftest import ENTRY

MARKER = "hunter2-of-ana-souza"


def refusals(scene):
    return [(event.data["item"], event.data["reason"]) for event in scene.heard.named("schedule.refused")]


def test_each_row_is_enqueued_and_a_bad_one_is_told_by_number_and_field(one_entry, scene):
    one_entry.write(
        {"currency": "BRL"},
        {"currency": "BRL"},
        MARKER,
        '{"currency": 1, "currency": 2}',
        {"currency": "EUR"},
    )
    one_entry.begin()

    done = one_entry.step()

    assert {"asked": 5, "admitted": 2, "attached": 1, "invalid": 2} == done.result.value
    assert 2 == one_entry.work()
    assert [
        ("row 3", "not JSON: Expecting value at column 1"),
        ("row 4", "currency given twice"),
    ] == refusals(scene)
    assert MARKER not in str(scene.heard)


def test_step_ends_in_time_and_the_next_one_goes_on_behind_it(one_entry, scene):
    one_entry.write_rows(30)
    one_entry.begin()
    one_entry.after = lambda _: scene.clock.advance(1.0)

    first, second, third, last = (one_entry.step() for _ in range(4))

    assert [("goes_on", 1.0)] * 3 == [(each.reason, each.after) for each in (first, second, third)]
    assert isinstance(last, Computed)
    assert (1, {"asked": 30, "admitted": 30}) == (last.result.attempts, last.result.value)
    assert 30 == len(one_entry.asked_at)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [0, 3, 7])
@pytest.mark.parametrize("policy", [{}, {"rate": 2.0}, {"max_cost": 100.0}], ids=str)
def test_slot_of_a_killed_worker_goes_on_and_each_row_is_called_once(one_entry, scene, number, when, policy):
    one_entry.write_rows(8)
    one_entry.begin(**policy)
    one_entry.kill(number, when)
    made = one_entry.work_until_killed()
    # The lease of a killed worker ends; here its process could still say so.
    scene.clock.advance(30.0)

    facts, more = one_entry.finish()

    assert 8 == made + more
    assert (8, 8) == (facts["asked"], facts["admitted"])
    if "max_cost" in policy:
        assert (8, 2.0) == (facts["done"], facts["cost_usd"])


@pytest.mark.parametrize("number", [0, 1, 3])
@pytest.mark.parametrize("policy", [{}, {"rate": 2.0}, {"max_cost": 100.0}], ids=str)
def test_answer_that_is_stale_when_its_killed_slot_goes_on_is_not_paid_again(
    one_entry, scene, policy, number
):
    one_entry.spec = scene.spec = replace(one_entry.spec, soft_ttl=5.0)
    one_entry.write_rows(5)
    one_entry.begin(**policy)
    one_entry.kill(number, "after")
    made = one_entry.work_until_killed() + one_entry.work()
    scene.clock.advance(30.0)

    facts, more = one_entry.finish()

    assert (5, 5, 5) == (made + more, facts["asked"], facts["admitted"])


def test_stale_answer_is_not_paid_again_after_a_kill_and_a_pause(one_entry, scene):
    one_entry.spec = scene.spec = replace(one_entry.spec, soft_ttl=5.0)
    one_entry.write_rows(5)
    one_entry.begin()
    one_entry.kill(3, "after")
    made = one_entry.work_until_killed() + one_entry.work()
    scene.store.schedules.pause(ENTRY, "stop")
    scene.clock.advance(30.0)
    paused = one_entry.step()
    one_entry.resume()

    _, more = one_entry.finish()

    assert ("paused", 5) == (paused.reason, made + more)


def test_row_that_the_store_lost_sight_of_is_not_paid_again(one_entry, scene):
    one_entry.spec = scene.spec = replace(one_entry.spec, soft_ttl=2.0)
    one_entry.write_rows(3)
    one_entry.begin()

    def away(number):
        if number == 2:
            raise StoreUnavailable(verb="admit", reason="TimeoutError")

    one_entry.before = away
    one_entry.step()
    made = one_entry.work()
    scene.clock.advance(5.0)
    facts, more = one_entry.finish()

    assert (3, {"asked": 3, "admitted": 3}) == (made + more, facts)


@pytest.mark.parametrize("max_age", [60.0, 0.0])
def test_row_that_was_answered_since_the_slot_costs_nothing_when_it_is_asked_again(one_entry, scene, max_age):
    one_entry.write_rows(1)
    one_entry.begin(StoredFile(task=one_entry.spec.name, path=one_entry.file, max_age=max_age))
    one_entry.step()
    made = one_entry.work()
    scene.clock.advance(600.0)
    scene.store.invalidate(one_entry.key)
    one_entry.send()

    facts, more = one_entry.finish()

    assert (1, 0) == (made, more)
    assert {"asked": 1, "admitted": 1} == facts


def test_old_answer_of_a_row_is_made_anew_and_a_young_one_is_a_hit(one_entry, scene):
    one_entry.write_rows(2)
    scene.ask({"currency": "C0"})
    one_entry.work()
    scene.clock.advance(61.0)
    scene.ask({"currency": "C1"})
    one_entry.work()
    one_entry.begin(StoredFile(task=one_entry.spec.name, path=one_entry.file, max_age=60.0))

    facts, made = one_entry.finish()

    assert ({"asked": 2, "admitted": 1, "hit": 1}, 1) == (facts, made)


def test_rows_that_are_added_are_asked_and_another_file_is_read_from_its_start(one_entry, scene):
    one_entry.write_rows(6)
    one_entry.begin()
    one_entry.after = lambda _: scene.clock.advance(4.0)
    one_entry.step()
    with one_entry.file.open("a") as file:
        file.write('{"currency": "new"}\n')
    one_entry.step()
    replaced = [{"currency": f"D{number}"} for number in range(9)]
    one_entry.write(*replaced)

    facts, _ = one_entry.finish()

    assert 6 + 9 == facts["admitted"]
    scene.sender.sent.clear()
    for row in replaced:
        scene.ask(row)
    assert [] == scene.sender.sent


def test_row_that_is_half_written_is_asked_for_when_it_is_whole(one_entry, scene):
    one_entry.write_rows(2)
    with one_entry.file.open("a") as file:
        file.write('{"currency": "hal')
    one_entry.begin(max_cost=10.0)
    one_entry.step()
    made = one_entry.work()
    one_entry.step()
    # The second row is under way, and the slot has seen the half of the third.
    with one_entry.file.open("a") as file:
        file.write('f"}\n{"currency": "B"}\nno row\n')

    facts, more = one_entry.finish()

    assert ((5, 4, 1), 4) == ((facts["asked"], facts["admitted"], facts["invalid"]), made + more)
    assert [("row 5", "not JSON: Expecting value at column 1")] == refusals(scene)


def test_row_that_is_half_written_is_left_to_the_next_slot(one_entry, scene):
    one_entry.file.write_text('{"currency": "A"}\n{"currency": "hal')
    one_entry.begin()

    assert {"asked": 1, "admitted": 1} == one_entry.step().result.value
    assert [] == refusals(scene)


def test_last_row_may_have_no_end_of_its_line(one_entry, scene):
    one_entry.file.write_text('{"currency": "A"}\n{"currency": "B"}')
    one_entry.begin(max_cost=10.0)
    one_entry.step()
    one_entry.work()
    one_entry.step()
    with one_entry.file.open("a") as file:
        file.write("\nno row\n")

    facts, _ = one_entry.finish()

    assert (3, 2, 1) == (facts["asked"], facts["admitted"], facts["invalid"])
    assert [("row 3", "not JSON: Expecting value at column 1")] == refusals(scene)


def test_stale_answer_is_made_anew_although_it_is_served_meanwhile(one_entry, scene):
    one_entry.spec = scene.spec = replace(one_entry.spec, stale_while_revalidate=86_400.0)
    one_entry.write_rows(3)
    scene.ask({"currency": "C0"})
    one_entry.work()
    scene.clock.advance(4000.0)
    one_entry.begin(rate=1.0)

    assert ({"asked": 3, "admitted": 3}, 3) == one_entry.finish()
    assert len(one_entry.waited) + len(scene.heard.named("job.parked")) >= 2


def test_rows_of_a_run_have_its_name_and_that_of_the_slot(one_entry, scene):
    one_entry.write_rows(1)
    one_entry.begin()
    one_entry.step()

    [message] = scene.sender.sent
    assert f"{ENTRY} {one_entry.slot}" == message.job.run


@pytest.mark.parametrize(
    ("path", "word", "why"),
    [
        (None, "path_not_set", "the path of its StoredFile is not set"),
        ("nothing.jsonl", "file_unreadable", "nothing.jsonl: No such file or directory"),
        (".", "file_unreadable", ".: must be a plain file"),
        ("n" * 300, "file_unreadable", f"{'n' * 300}: File name too long"),
    ],
)
def test_entry_that_cannot_be_asked_for_is_refused_by_name(one_entry, scene, monkeypatch, path, word, why):
    monkeypatch.chdir(one_entry.folder)
    one_entry.begin(StoredFile(task=one_entry.spec.name, path=path and Path(path)))

    failed = one_entry.step()

    assert isinstance(failed, Failed)
    assert ("configuration", word) == (failed.kind, failed.reason)
    assert [("", f"{ENTRY}: {why}")] == refusals(scene)


@pytest.mark.parametrize("policy", [{}, {"dry_run": True}, {"max_cost": 1.0}], ids=str)
def test_slot_of_which_each_row_was_refused_is_no_success(one_entry, scene, policy):
    one_entry.write("no row", '{"currency": NaN}')
    one_entry.begin(**policy)

    failed = one_entry.step()

    assert isinstance(failed, Failed)
    assert ("configuration", "all_refused") == (failed.kind, failed.reason)
    assert ("", f"{ENTRY}: all 2 that it found were refused") == refusals(scene)[-1]


def test_file_without_rows_is_a_success(one_entry):
    one_entry.write()
    one_entry.begin()

    assert {"asked": 0} == one_entry.step().result.value


def test_path_may_be_a_text(one_entry):
    one_entry.write_rows(2)
    one_entry.begin(StoredFile(task=one_entry.spec.name, path=str(one_entry.file)))

    assert ({"asked": 2, "admitted": 2}, 2) == one_entry.finish()


def test_task_that_the_app_does_not_have_is_refused_by_name(one_entry, scene):
    one_entry.begin(StoredFile(task="rates.fetsch", path=one_entry.file))

    assert isinstance(one_entry.step(), Failed)
    assert [("", f"{ENTRY}: no task is called rates.fetsch")] == refusals(scene)


def test_dry_run_counts_what_would_be_asked_and_asks_nothing(one_entry, scene):
    one_entry.write_rows(3)
    one_entry.write({"currency": "C0"}, {"currency": "C1"}, {"currency": "C2"}, "no row")
    scene.ask({"currency": "C0"})
    one_entry.work()
    scene.ask({"currency": "C1"})
    scene.sender.sent.clear()
    one_entry.begin(dry_run=True, rate=0.001, max_cost=0.0)

    done = one_entry.step()

    assert {"hit": 1, "attached": 1, "would_ask": 1, "invalid": 1, "cost_usd": 0.0} == done.result.value
    assert [] == scene.sender.sent


def test_dry_run_counts_a_row_that_comes_again_as_the_slot_would(one_entry):
    one_entry.write({"currency": "A"}, {"currency": "A"}, {"currency": "A", "day": 1}, {"currency": "A"})
    one_entry.begin(dry_run=True)
    tried = one_entry.step().result.value
    one_entry.scene.clock.advance(1.0)
    one_entry.begin()

    assert ({"would_ask": 3, "attached": 1}, {"asked": 4, "admitted": 3, "attached": 1}) == (
        tried,
        one_entry.step().result.value,
    )


def test_dry_run_does_not_take_the_answer_to_another_payload_for_a_hit(one_entry, scene):
    one_entry.write({"currency": "A", "day": 1})
    scene.ask({"currency": "A"})
    one_entry.work()
    words = []
    for spec in (one_entry.spec, replace(one_entry.spec, on_mismatch="conflict")):
        one_entry.spec = scene.spec = spec
        one_entry.begin(dry_run=True)
        words.append(one_entry.step().result.value)
        scene.clock.advance(1.0)

    assert [{"would_ask": 1}, {"conflict": 1}] == words


def test_slot_whose_job_is_cancelled_asks_for_no_other_row(one_entry, scene):
    one_entry.write_rows(5)
    one_entry.begin()
    one_entry.cancelled = lambda: len(one_entry.asked_at) >= 2

    failed = one_entry.step()

    assert ("cancelled", 2) == (failed.kind, len(one_entry.asked_at))


def test_store_that_is_away_costs_no_row(one_entry, scene):
    one_entry.write_rows(5)
    one_entry.begin()

    def away(number):
        if number == 2:
            raise StoreUnavailable(verb="admit", reason="TimeoutError")

    one_entry.before = away
    rest = one_entry.step()
    facts, made = one_entry.finish()

    assert (Deferred, "store_unavailable", 5.0) == (type(rest), rest.reason, rest.after)
    assert ({"asked": 5, "admitted": 5}, 5) == (facts, made)


def test_row_whose_message_the_broker_refuses_is_a_job_all_the_same(one_entry, scene):
    one_entry.write_rows(3)
    one_entry.begin(max_cost=10.0)
    scene.sender.refuses = True
    rest = one_entry.step()
    scene.sender.refuses = False
    scene.clock.advance(120.0)
    for lost in scene.store.reap(range(BUCKETS), DELIVERED):
        if lost.job.task == one_entry.spec.name:
            scene.sender.send(Message(lost.job, sent_at=lost.sent_at))

    facts, made = one_entry.finish()

    assert ("broker_unavailable", 5.0) == (rest.reason, rest.after)
    assert ((3, 3), 3) == ((facts["admitted"], facts["done"]), made)


def test_schedule_of_the_page_has_three_entries():
    page = (Path(__file__).parents[3] / "docs/reprocessing.md").read_text()
    code = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0]
    defined = {}
    exec(code, defined)  # our own page

    assert ["rates", "new prompt", "after an outage"] == [entry.name for entry in defined["SCHEDULE"]]
