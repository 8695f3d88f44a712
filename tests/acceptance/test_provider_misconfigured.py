"""What every row meets until a person acts: a key, credit, a model, an address. All rows wait for it."""

import pytest

from tests.acceptance.crowds import ANSWERS, POOLS, SLOTS, assert_all_answered, events, log_of, meetings

pytestmark = pytest.mark.acceptance

#: What each pool answers in a few seconds.
ROWS = {"threads": 300, "prefork": 100}
#: Calls until everybody has stopped, and a look now and then.
FEW = SLOTS + 5


@pytest.fixture
def new_worker(new_machine):
    """Start a machine with a worker; the stand-in can be told to give answers by name."""

    def begin(pool="threads", *, outside=None, **env):
        outside = {"failure_rate": 0, "answers": ANSWERS, "llm_rate_headers": False, **(outside or {})}
        machine = new_machine(outside=outside, env={"REAP_INTERVAL": "1", **env})
        machine.start_worker(*POOLS[pool])
        return machine

    return begin


@pytest.fixture
def wait_for_looks(eventually):
    """Wait until the provider is away, and a call looked in vain if it is back."""

    def wait(machine, reason, looks=1):
        eventually(lambda: events(machine, "provider.away"), 30)
        [line] = events(machine, "provider.away")
        assert f"reason={reason} " in line
        calls = machine.ledger.openai.calls
        eventually(lambda: machine.ledger.openai.calls >= calls + looks, 30)

    return wait


#: How the service refuses everybody, its cure, and the reason.
WRONG = {
    "key": ({"llm_key": "sk-other"}, {"llm_key": ""}, "invalid_key"),
    "credit": ({"llm_credit": False}, {"llm_credit": True}, "no_credit"),
    "model": ({"llm_models": ["other"]}, {"llm_models": []}, "model_not_found"),
    "page": ({"script": {"ROW": ["200_page", "*"]}}, {"script": {}}, "not_an_api"),
}


@pytest.mark.parametrize(
    ("wrong", "pool"),
    [
        pytest.param(wrong, pool, marks=() if (wrong, pool) == ("key", "prefork") else pytest.mark.long)
        for wrong in WRONG
        for pool in POOLS
    ],
)
def test_rows_wait_until_what_all_of_them_meet_is_cured(
    new_worker, begin_submit, wait_for_looks, wrong, pool
):
    outside, cure, reason = WRONG[wrong]
    machine = new_worker(pool, outside=outside)

    asker = begin_submit(machine, "meetings.extract", meetings(ROWS[pool]), "--wait")
    wait_for_looks(machine, reason)
    before = machine.ledger.openai.calls
    machine.control(**cure)
    told = asker.finish()

    assert before <= FEW
    assert_all_answered(told, ROWS[pool])
    assert before + ROWS[pool] <= machine.ledger.openai.calls <= FEW + ROWS[pool]
    assert 1 == len(events(machine, "provider.away"))
    assert 1 == len(events(machine, "provider.back"))
    assert "job.failed" not in log_of(machine)


@pytest.mark.long
def test_rows_wait_until_a_worker_has_the_right_address(new_machine, begin_submit, eventually):
    machine = new_machine(outside={"llm_rate_headers": False}, env={"REAP_INTERVAL": "1"})
    machine.start_worker(*POOLS["threads"], env={"OPENAI_BASE_URL": machine.outside.url})

    asker = begin_submit(machine, "meetings.extract", meetings(ROWS["threads"]), "--wait")
    eventually(lambda: events(machine, "provider.away"), 30)
    machine.stop_workers()
    assert 0 == machine.ledger.openai.calls, "another path than that of the model"
    machine.start_worker(*POOLS["threads"], name="second")
    told = asker.finish()

    assert_all_answered(told, ROWS["threads"])
    assert ROWS["threads"] == machine.ledger.openai.calls


@pytest.mark.long
def test_new_key_in_its_file_cures_without_a_restart(new_worker, begin_submit, eventually, tmp_path):
    file = tmp_path / "key"
    file.write_text("sk-old\n")
    machine = new_worker(outside={"llm_key": "sk-new"}, OPENAI_API_KEY="", OPENAI_API_KEY_FILE=str(file))

    asker = begin_submit(machine, "meetings.extract", meetings(ROWS["threads"]), "--wait")
    eventually(lambda: events(machine, "provider.away"), 30)
    before = machine.ledger.openai.calls
    file.write_text("sk-new\n")
    told = asker.finish()

    assert before <= FEW
    assert_all_answered(told, ROWS["threads"])


@pytest.mark.long
def test_task_whose_answers_are_all_unusable_stops_and_others_go_on(
    new_worker, begin_submit, submit, eventually
):
    machine = new_worker(outside={"script": {"EXTRACT": ["200_prose", "*"]}})

    asker = begin_submit(machine, "meetings.extract", meetings(200, "EXTRACT"), "--wait")
    eventually(lambda: events(machine, "provider.away"), 30)
    others = submit(machine, "meetings.analyze", meetings(20, "ANALYZE"), "--wait")
    stopped = machine.ledger.openai.calls - 20
    machine.control(script={})
    told = asker.finish()

    assert_all_answered(others, 20)
    [away] = events(machine, "provider.away")
    assert "reason=answers_unusable " in away
    # Twenty answers, and the calls that were under way then.
    assert 20 <= stopped <= 20 + SLOTS + 4
    failed = [row["error"] for row in told.reports if row["status"] == "failed"]
    # A row pays for two unusable answers; most that have one get the second after the cure.
    assert len(failed) <= stopped / 2
    assert all("malformed_answer" == error["reason"] for error in failed)
    done = [row for row in told.reports if row["status"] == "done"]
    assert 200 == len(done) + len(failed)
