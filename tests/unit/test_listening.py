from dataclasses import replace

import pytest

from askonce import Workers
from askonce.adapters.memory import MemoryStore
from askonce.announcements import Announcement
from askonce.controls import Pause
from askonce.listening import check_pauses, check_workers, listening
from askonce.spec import JobSpec

SPEC = JobSpec(name="meetings", version="b2", model="big")
TAKES = Announcement(worker="w1", tasks={"meetings": "b2", "orders": "1"}, queues=("fast", "slow"), slots=8)
OLD = replace(TAKES, worker="w2", tasks={"meetings": "a1"}, models={"meetings": "small"})
ELSEWHERE = replace(TAKES, worker="w3", queues=("other",))
NO_QUEUE = replace(TAKES, worker="w4", queues=())
WITHOUT = replace(TAKES, worker="w5", tasks={"orders": "1"})
CUT = replace(WITHOUT, worker="w6", whole=False)
CUT_OF_QUEUES = replace(TAKES, worker="w7", queues=("other",), whole=False)

JUDGED = {
    "no worker at all": ([], Workers.NONE),
    "a worker of another queue": ([ELSEWHERE], Workers.NONE),
    "a worker that takes no queue now": ([NO_QUEUE], Workers.NONE),
    "a worker without the task": ([WITHOUT], Workers.NO_TASK),
    "a worker with another version": ([OLD], Workers.OTHER_VERSION),
    "another version and no task": ([OLD, WITHOUT], Workers.OTHER_VERSION),
    "another version, and this one elsewhere": ([OLD, ELSEWHERE], Workers.OTHER_VERSION),
    "this version": ([TAKES], Workers.RUN),
    "this version, and another one elsewhere": ([TAKES, ELSEWHERE], Workers.RUN),
    "this version beside another": ([TAKES, OLD], Workers.SOME_RUN),
    "this version beside a worker without the task": ([TAKES, WITHOUT], Workers.SOME_RUN),
    "a worker with more tasks than it announced": ([CUT], Workers.RUN),
    "a worker with more queues than it announced": ([CUT_OF_QUEUES], Workers.RUN),
}


@pytest.mark.parametrize("who", JUDGED)
def test_workers_are_judged_by_queue_task_and_version(who):
    workers, judged = JUDGED[who]

    heard = listening(SPEC, "fast", workers)

    assert judged is heard.workers
    assert heard.ok is (judged in (Workers.RUN, Workers.SOME_RUN))
    assert ("ok" if judged is Workers.RUN else "warning") == heard.finding().severity


def test_unknown_queue_is_taken_by_any_worker():
    assert Workers.RUN is listening(SPEC, None, [ELSEWHERE]).workers
    assert "no worker is running: jobs wait until one does" == listening(SPEC, None, []).text


def test_able_workers_and_their_slots_are_counted():
    heard = listening(SPEC, "fast", [TAKES, OLD, replace(TAKES, worker="w9", slots=3)])

    assert (2, 11) == (heard.count, heard.slots)


TEXTS = {
    "no worker takes queue fast: jobs wait until one does; start one": [],
    "no worker of queue fast has the task meetings: jobs wait until one does; "
    "start workers with the same settings": [WITHOUT],
    "the workers of queue fast have version a1 (model small) of meetings, "
    "this producer has b2 (model big); start workers with the same settings": [OLD],
    "meetings is run by 1 worker of queue fast; the others have version a1 (model small); "
    "start workers with the same settings": [TAKES, OLD],
    "meetings is run by 1 worker of queue fast; the others do not have it; "
    "start workers with the same settings": [TAKES, WITHOUT],
    "meetings is run by 2 workers of queue fast": [TAKES, replace(TAKES, worker="w9")],
}


@pytest.mark.parametrize("text", TEXTS)
def test_finding_names_queue_task_versions_and_models(text):
    assert f"workers: {text}" == listening(SPEC, "fast", TEXTS[text]).finding().line


def test_check_is_one_line_for_each_thing_that_is_wrong():
    specs = [SPEC, JobSpec(name="orders"), JobSpec(name="rates")]

    def check(*workers):
        return [str(found) for found in check_workers(specs, lambda _task: "fast", workers)]

    assert ["warning: workers: no worker takes queue fast: jobs wait until one does; start one"] == check()
    assert ["meetings", "rates"] == [
        next(name for name in ("meetings", "orders", "rates") if name in line)
        for line in check(replace(OLD, tasks={**OLD.tasks, "orders": "1"}))
    ]
    [sound] = check(replace(TAKES, tasks={**TAKES.tasks, "rates": "1"}))
    assert "ok: workers: 1 worker with 8 slots; every task of this producer has one" == sound


@pytest.mark.parametrize(
    "pause",
    [Pause("all"), Pause("queue", "fast"), Pause("task", "meetings"), Pause("model", "big")],
    ids=str,
)
def test_paused_task_is_said_to_be_paused_whatever_workers_there_are(pause):
    pauses = {Pause("tenant", "acme"): "", Pause("queue", "slow"): "", pause: "ana: invoice"}

    for workers in ([], [TAKES], [OLD]):
        heard = listening(SPEC, "fast", workers, pauses)

        assert (Workers.PAUSED, False) == (heard.workers, heard.ok)
        assert "meetings is paused: ana: invoice" == heard.text
        assert "warning" == heard.finding().severity


def test_pause_of_others_changes_nothing():
    pauses = {Pause("queue", "slow"): "", Pause("task", "orders"): "", Pause("run", "night"): ""}

    assert Workers.RUN is listening(SPEC, "fast", [TAKES], pauses).workers
    assert (
        Workers.RUN is listening(replace(SPEC, model=""), "fast", [CUT], {Pause("model", "big"): ""}).workers
    )


def test_each_pause_that_holds_is_a_finding(clock):
    store = MemoryStore(clock)
    before = [str(found) for found in check_pauses(store)]
    store.controls.pause(Pause("queue", "slow"), "ana: too\x1bdear")
    store.controls.pause(Pause("all"), "")

    found = [str(each) for each in check_pauses(store)]

    cure = "end the pause when its reason is gone"
    assert ["ok: pauses: none"] == before
    assert [
        f"warning: pauses: all is paused: paused; {cure}",
        f"warning: pauses: queue slow is paused: ana: too?dear; {cure}",
    ] == found


@pytest.mark.parametrize("pause", [Pause("tenant", "acme"), Pause("run", "night")], ids=str)
def test_pause_of_a_tenant_or_a_run_is_told_to_who_names_it(pause):
    def judged(**known):
        return listening(SPEC, "fast", [TAKES], {pause: "ana"}, **known).workers

    assert [Workers.RUN, Workers.RUN] == [judged(), judged(tenant="other", run="day")]
    assert Workers.PAUSED is judged(tenant="acme", run="night")
