import asyncio
import threading
from contextvars import ContextVar
from threading import Event as Signal

from askonce import Admitted, Attached, Duplicate, Hit
from askonce.errors import (
    FingerprintMismatch,
    JobFailed,
    OptionInvalid,
    PayloadInvalid,
    Permanent,
    ResultTimeout,
    StoreUnavailable,
)
from askonce.handle import Handle
from askonce.off_loop import _AT_ONCE, off_loop
from tests.deadlines import eventually, stretched
from tests.unit.conftest import ANSWER, QUESTION

LONG = 600.0


def run(coroutine):
    """Run it to its end; one that hangs fails."""
    return asyncio.run(asyncio.wait_for(coroutine, stretched(30)))


async def end_of(awaited):
    try:
        return await awaited
    except Exception as error:  # noqa: BLE001
        return error


def enqueue(scene, question=QUESTION, **options):
    return scene.producer.enqueue_async(scene.spec, question, **options)


def test_job_is_enqueued_and_its_answer_awaited(scene):
    async def ask():
        outcome = await enqueue(scene)
        answer = asyncio.ensure_future(outcome.aresult(LONG))
        again = await enqueue(scene)
        await asyncio.to_thread(scene.work)
        return outcome, again, await answer, await again.aresult(LONG), await enqueue(scene)

    outcome, again, *answers, late = run(ask())

    assert (Admitted, Attached, Hit) == (type(outcome), type(again), type(late))
    assert [ANSWER] * 2 == [answer.value for answer in answers]
    assert 1 == len(scene.sender.sent)


def test_outcomes_that_wait_for_nothing_are_awaited_too(scene, raising):
    async def ends():
        duplicate = await enqueue(scene, on_duplicate="reject")
        await asyncio.to_thread(scene.work, raising(Permanent("http_404")))
        negative = await enqueue(scene)
        return [await end_of(outcome.aresult(0)) for outcome in (duplicate, negative)]

    scene.ask()

    refused, failed = run(ends())

    assert (JobFailed, "duplicate") == (type(refused), refused.kind)
    assert (JobFailed, "http_404") == (type(failed), failed.reason)


def test_errors_and_options_are_those_of_enqueue(scene):
    conflicting = {**QUESTION, "day": "another"}

    async def ends():
        return [
            await end_of(enqueue(scene, {"currency": {1, 2}})),
            await end_of(enqueue(scene, tenant=None)),
            await enqueue(scene, tenant="acme", run="night", on_duplicate="reject"),
            await enqueue(scene, tenant="acme", on_duplicate="reject"),
        ]

    invalid, option, admitted, duplicate = run(ends())
    scene.spec = scene.spec.__class__(name="rates.strict", key_fields=("currency",), on_mismatch="conflict")
    run(enqueue(scene))
    mismatch = run(end_of(run(enqueue(scene, conflicting)).aresult(0)))

    assert (PayloadInvalid, "currency") == (type(invalid), invalid.field.partition("[")[0])
    assert (OptionInvalid, "tenant") == (type(option), option.option)
    assert (Admitted, Duplicate) == (type(admitted), type(duplicate))
    assert ("acme", "night") == (scene.sender.sent[0].job.tenant, scene.sender.sent[0].job.run)
    assert FingerprintMismatch is type(mismatch)


def test_store_that_is_down_is_the_error_of_both(scene):
    asked = scene.ask()
    scene.fail_on("admit")
    scene.fail_on("read")
    handle = Handle.from_key(scene.store, asked.key)

    ends = [run(end_of(enqueue(scene, {"currency": "X"}))), run(end_of(handle.aresult(0)))]

    assert [StoreUnavailable, StoreUnavailable] == [type(end) for end in ends]


def test_key_alone_is_awaited(scene):
    asked = scene.answered()

    assert ANSWER == run(Handle.from_key(scene.store, asked.key).aresult(LONG)).value


def test_timeout_ends_the_wait_and_not_the_job(scene):
    async def ends():
        outcome = await enqueue(scene)
        late = await end_of(outcome.aresult(0.01))
        await asyncio.to_thread(scene.work)
        return late, await outcome.aresult(LONG)

    late, answer = run(ends())

    assert (ResultTimeout, "queued", ANSWER) == (type(late), late.state, answer.value)


def test_handles_wait_in_one_thread(scene):
    async def ends():
        outcomes = [scene.ask({"currency": f"C{number}"}) for number in range(50)]
        before = set(threading.enumerate())
        tasks = [asyncio.ensure_future(outcome.aresult(LONG)) for outcome in outcomes]
        # Each of them begins.
        await asyncio.sleep(0)
        more = set(threading.enumerate()) - before
        for number in range(50):
            scene.work(number=number)
        return more, await asyncio.gather(*tasks)

    more, answers = run(ends())

    assert ["askonce-waiting"] == [thread.name for thread in more]
    assert [ANSWER] * 50 == [answer.value for answer in answers]


def test_cancelled_wait_cancels_no_job(scene):
    async def ends():
        outcome = await enqueue(scene)
        impatient = await end_of(asyncio.wait_for(outcome.aresult(LONG), 0.01))
        answer = asyncio.ensure_future(outcome.aresult(LONG))
        await asyncio.to_thread(scene.work)
        return impatient, await answer

    impatient, answer = run(ends())

    assert (TimeoutError, ANSWER) == (type(impatient), answer.value)


def test_call_is_made_although_its_caller_is_cancelled_before_it_begins():
    began, go, made = Signal(), Signal(), Signal()

    def block():
        began.set()
        assert go.wait(stretched(20))

    async def cancel():
        # More than there are threads.
        blocked = [asyncio.ensure_future(off_loop(block)) for _ in range(40)]
        last = asyncio.ensure_future(off_loop(made.set))
        await asyncio.to_thread(began.wait, stretched(20))
        last.cancel()
        [end] = await asyncio.gather(last, return_exceptions=True)
        assert not made.is_set()
        go.set()
        await asyncio.gather(*blocked)
        return end

    assert asyncio.CancelledError is type(run(cancel()))
    assert made.wait(stretched(20))


def test_loop_that_closes_during_a_call_is_left_in_peace(caplog):
    began, go, gate = Signal(), Signal(), threading.Barrier(_AT_ONCE)

    def block():
        began.set()
        assert go.wait(stretched(20))

    async def leave():
        left = asyncio.ensure_future(off_loop(block))
        await asyncio.to_thread(began.wait, stretched(20))
        assert not left.done()

    async def have_every_thread():
        await asyncio.gather(*(off_loop(lambda: gate.wait(stretched(20))) for _ in range(_AT_ONCE)))

    run(leave())
    go.set()
    run(have_every_thread())

    assert [] == caplog.records


def test_calls_run_in_a_few_threads_with_the_variables_of_their_callers():
    request, gate = ContextVar("request", default=None), threading.Barrier(_AT_ONCE)

    def call():
        gate.wait(stretched(20))
        return request.get(), threading.current_thread().name

    async def one(number):
        request.set(number)
        return await off_loop(call)

    async def many():
        return await asyncio.gather(*(one(number) for number in range(64)))

    seen = run(many())

    assert list(range(64)) == [number for number, _ in seen]
    assert _AT_ONCE == len({name for _, name in seen})


def test_enqueued_while_its_caller_is_cancelled(scene, monkeypatch):
    began, go = Signal(), Signal()
    send = scene.sender.send

    def sent_late(message):
        began.set()
        assert go.wait(stretched(20))
        send(message)

    monkeypatch.setattr(scene.sender, "send", sent_late)

    async def cancel():
        task = asyncio.ensure_future(enqueue(scene))
        await asyncio.to_thread(began.wait, stretched(20))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        go.set()
        return await enqueue(scene)

    again = run(cancel())

    assert isinstance(again, Attached)
    eventually(lambda: len(scene.sender.sent) == 1)
