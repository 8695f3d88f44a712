import json
from contextlib import contextmanager

import pytest

from sandbox.valkey import Valkey
from tests.deadlines import stretched
from tests.servers.proxy import Proxy
from tests.servers.rabbitmq import RabbitMQ

pytestmark = [pytest.mark.fault, pytest.mark.rabbitmq]

QUEUE_DEADLINE = 3.0
POOLS = ["threads", "prefork"]


@pytest.fixture
def new_rabbit_scene(new_scene, rabbitmq):
    """Start a machine whose messages go to RabbitMQ, by *port* of a proxy if that is given."""

    def begin(port=None, server=rabbitmq, **environment):
        env = {"JOB_QUEUE_DEADLINE": str(QUEUE_DEADLINE), **environment}
        return new_scene(broker=server.url_of(server.new_host(), port), **env)

    return begin


@pytest.fixture
def scene(new_rabbit_scene):
    return new_rabbit_scene()


def lose_the_queue(scene):
    scene.queue.lose(3)


def double_every_message(scene):
    scene.queue.put(scene.queue.messages() * 4)


@pytest.mark.parametrize("fault", [lose_the_queue, double_every_message])
def test_fault_of_delivery_neither_loses_a_job_nor_adds_a_call(scene, fault):
    keys = scene.submit("meetings.extract", scene.meetings(3))
    assert 3 == scene.queue.waiting()

    fault(scene)
    scene.machine.start_worker("-P", "threads", "-c", "4")
    scene.wait_until_done(keys, QUEUE_DEADLINE + scene.recovery)
    scene.eventually(scene.queue.is_settled, 30)

    assert 3 == scene.machine.ledger.openai.calls
    assert [1, 1, 1] == [scene.record(key).attempts for key in keys]


def test_equal_questions_of_many_processes_are_one_call(scene):
    scene.machine.start_worker("-P", "threads", "-c", "8")
    [meeting] = scene.meetings(1)
    scene.machine.control(hold=True)

    rows = scene.machine.folder / "rows.jsonl"
    rows.write_text(json.dumps(meeting) + "\n")
    outputs = [scene.machine.folder / f"asker-{number}.jsonl" for number in range(6)]
    askers = [scene.machine.submit("meetings.extract", rows, "--wait", output=output) for output in outputs]
    assert scene.machine.wait_for_held(1, stretched(60))
    scene.let_go()

    assert [0] * 6 == [asker.wait(stretched(60)) for asker in askers]
    told = [json.loads(output.read_text()) for output in outputs]
    assert 1 == len({json.dumps(one["result"], sort_keys=True) for one in told})
    assert 1 == scene.machine.ledger.openai.calls


@pytest.mark.parametrize("pool", POOLS)
def test_jobs_of_a_killed_worker_are_done_by_the_other(scene, kill_group, pool):
    first = scene.machine.start_worker("-P", pool, "-c", "2", name="first")
    lost = scene.hold_meetings(2)
    scene.machine.start_worker("-P", pool, "-c", "2", name="second")
    kept = scene.submit("meetings.extract", scene.meetings(2))
    assert scene.machine.wait_for_held(4, stretched(30))

    kill_group(first)
    scene.let_go()
    scene.wait_until_done(lost + kept, 30)

    calls = scene.machine.ledger.openai
    assert (6, 2, 2) == (calls.answered, calls.surplus, calls.undelivered)
    assert [2, 2, 1, 1] == [scene.record(key).attempts for key in lost + kept]


@pytest.mark.parametrize("pool", POOLS)
def test_jobs_outlive_a_killed_broker_at_no_extra_call(new_rabbit_scene, pool):
    with RabbitMQ() as server:
        # So long that only the queue itself can bring the messages back.
        scene = new_rabbit_scene(server=server, JOB_QUEUE_DEADLINE="600")
        worker = scene.machine.start_worker("-P", pool, "-c", "2")
        running = scene.hold_meetings(2)
        waiting = scene.submit("meetings.extract", scene.meetings(4))

        server.kill()
        server.start()
        scene.let_go()
        scene.wait_until_done(running + waiting, 60)

        calls = scene.machine.ledger.openai
        assert (6, 0) == (calls.answered, calls.surplus)
        assert worker.poll() is None
        scene.machine.stop_workers()


@pytest.mark.parametrize("pool", POOLS)
def test_jobs_whose_broker_link_is_cut_are_called_once(new_rabbit_scene, rabbitmq, pool):
    with Proxy(rabbitmq.port) as link:
        scene = new_rabbit_scene(link.port)
        worker = scene.machine.start_worker("-P", pool, "-c", "2")
        running = scene.hold_meetings(2)
        waiting = scene.submit("meetings.extract", scene.meetings(3))

        link.cut()
        scene.let_go()
        scene.wait_until_done(running + waiting, 60)
        scene.eventually(scene.queue.is_settled, 30)

        calls = scene.machine.ledger.openai
        assert (5, 0) == (calls.answered, calls.surplus)
        assert worker.poll() is None
        scene.machine.stop_workers()


@contextmanager
def apart():
    """Records behind a link that can be broken."""
    with Valkey(tcp=True) as records, Proxy(records.port) as link:
        yield records, link, {"REDIS_URL": f"redis://127.0.0.1:{link.port}/0"}


def test_jobs_enqueued_while_the_store_hangs_are_called_once(new_rabbit_scene):
    with apart() as (records, link, env):
        scene = new_rabbit_scene(**env)
        scene.look_at(records)
        meetings = scene.meetings(2)
        with link.blocked():
            told = [ask(scene, meetings) for _ in range(2)]
            assert 4 == scene.queue.waiting()
            scene.machine.start_worker("-P", "threads", "-c", "4")
            # Put back to wait on the server: no worker is kept busy by them.
            scene.eventually(lambda: scene.queue.delayed() >= 1, 60)

        keys = [report["key"] for report in told[0]]
        scene.wait_until_done(keys, 90)

        assert {("admitted", True)} == {(one["asked"], one["degraded"]) for row in told for one in row}
        assert [1, 1] == list(scene.machine.ledger.openai.by_content.values())
        scene.machine.stop_workers()


def ask(scene, meetings):
    rows, output = scene.machine.folder / "rows.jsonl", scene.machine.folder / "out.jsonl"
    rows.write_text("".join(json.dumps(meeting) + "\n" for meeting in meetings))
    assert 0 == scene.machine.submit("meetings.extract", rows, output=output).wait(stretched(60))
    return [json.loads(line) for line in output.read_text().splitlines()]


def test_second_attempt_of_a_delayed_message_goes_to_its_queue(scene):
    scene.machine.control(llm_error_rate=1.0)
    scene.machine.start_worker("-P", "threads", "-c", "2")
    send = (
        "import json, sys; from settings.servers import new_app;"
        " new_app().send_task('meetings.extract', kwargs=json.loads(sys.argv[1]), countdown=1.5)"
    )

    scene.run_python("-c", send, json.dumps(scene.meetings(1)[0]))
    scene.eventually(lambda: "job.deferred" in scene.log("worker"), 60)
    scene.machine.control(llm_error_rate=0.0)
    scene.eventually(lambda: "outcome=done" in scene.log("worker"), 90)

    assert 1 == scene.log("worker").count("outcome=done")


def test_message_with_a_countdown_waits_on_the_server(scene):
    scene.machine.start_worker("-P", "threads", "-c", "2")
    send = (
        "import sys; from settings.servers import new_app;"
        " new_app().send_task('orders.enrich', kwargs={'order_id': sys.argv[1], 'cliente_id': 1},"
        " countdown=float(sys.argv[2]))"
    )

    scene.run_python("-c", send, "soon", "1.5")
    scene.run_python("-c", send, "late", "3600")
    scene.eventually(lambda: scene.log("worker").count("job.done task=orders.enrich") == 1, 30)

    assert 1 == scene.queue.delayed()


def test_job_of_a_message_dropped_by_the_broker_is_sent_again(new_rabbit_scene):
    scene = new_rabbit_scene(JOB_QUEUE_DEADLINE="1")
    [key] = scene.submit("meetings.extract", scene.meetings(1))

    # Each look gives it back, as the end of a worker does.
    given_back = [len(scene.queue.messages()) for _ in range(25)]
    assert [1] * 21 + [0] * 4 == given_back
    scene.machine.start_worker("-P", "threads", "-c", "2")
    scene.wait_until_done([key], scene.recovery)

    assert 1 == scene.machine.ledger.openai.calls
