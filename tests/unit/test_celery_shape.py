import pytest
from celery import Celery
from kombu import Message
from kombu.utils.json import dumps

from askonce.adapters.celery import IdempotentTask
from askonce.adapters.celery.shape import fault_of
from tests.any_message import EMBED, NOTE


def body(n):
    return n


def new_app(**links):
    """An app whose tasks, by their names, have these *links*."""
    app = Celery("shape", broker="memory://", set_as_current=False)
    for name, taken in links.items():
        base = app.Task if name.startswith("plain") else IdempotentTask
        app.task(name=name, base=base, links=taken, shared=False)(body)
    return app


def fault(app, task, args=(), **embed):
    body = dumps([args, {}, {**EMBED, **embed}])
    headers = {"task": task, "id": "m-1"}
    message = Message(body, content_type="application/json", content_encoding="utf-8", headers=headers)
    return fault_of(message, app)


LINKS = {"callbacks": [NOTE], "errbacks": [NOTE], "chain": [NOTE], "chord": NOTE}


@pytest.mark.parametrize("name", LINKS)
@pytest.mark.parametrize("task", ["celery.accumulate", "celery.map", "celery.backend_cleanup"])
def test_task_of_celery_takes_links_where_another_task_does(name, task):
    links = {name: LINKS[name]}

    assert "link_refused" == fault(new_app(add=False), task, **links)
    assert fault(new_app(add=False, other=True), task, **links) is None


@pytest.mark.parametrize("task", ["celery.chord_unlock", "celery.group", "celery.chord"])
def test_task_that_calls_its_arguments_is_refused_where_no_task_takes_links(task):
    assert "link_refused" == fault(new_app(add=False), task, ["g", NOTE])
    assert fault(new_app(add=True), task, ["g", NOTE]) is None


def test_task_of_celery_without_links_is_taken():
    assert fault(new_app(add=False), "celery.map") is None


def test_plain_task_takes_links_until_they_are_off():
    assert fault(new_app(plain=None), "plain", callbacks=[NOTE]) is None
    assert fault(new_app(plain=None), "celery.map", callbacks=[NOTE]) is None
    assert "link_refused" == fault(new_app(plain=False), "plain", callbacks=[NOTE])
    assert "link_refused" == fault(new_app(plain=False), "celery.map", callbacks=[NOTE])


SUM = {**NOTE, "task": "sum"}
#: As Celery writes them.
CANVASES = {
    "chain": {"subtask_type": "chain", "kwargs": {"tasks": [NOTE, SUM]}},
    "group": {"subtask_type": "group", "kwargs": {"tasks": [NOTE, NOTE]}},
    "chord": {"subtask_type": "chord", "kwargs": {"kwargs": {}, "header": [NOTE], "body": SUM}},
    "map": {"subtask_type": "xmap", "kwargs": {"task": NOTE, "it": [1]}},
    "chunks": {"subtask_type": "chunks", "kwargs": {"task": NOTE, "it": [1], "n": 1}},
    "options": {
        "options": {"link": [NOTE], "link_error": NOTE, "chord": None, "priority": 3, "expires": 9.5}
    },
    "time that is over": {"options": {"countdown": -0.5, "expires": -1}},
    "times": {"options": {"eta": "2030-01-01T00:00:00", "expires": "2030-01-01T00:00:00", "queue": "q"}},
}


@pytest.mark.parametrize("what", CANVASES)
def test_link_that_celery_writes_is_taken(what):
    assert fault(new_app(add=True), "add", chain=[{**NOTE, **CANVASES[what]}]) is None


#: What Celery cannot build, or send.
ODD = {
    "type a number": {"subtask_type": 5},
    "type unknown": {"subtask_type": "no.such"},
    "type a list": {"subtask_type": ["chain"]},
    "chord without parts": {"subtask_type": "chord"},
    "group of a number": {"subtask_type": "group", "kwargs": {"tasks": 5}},
    "group of odd links": {"subtask_type": "group", "kwargs": {"tasks": [{**NOTE, "options": {"queue": 5}}]}},
    "chunks without a size": {"subtask_type": "chunks", "kwargs": {"task": NOTE, "it": [1]}},
    "queue a number": {"options": {"queue": 5}},
    "task's id a list": {"options": {"task_id": []}},
    "priority a text": {"options": {"priority": "5"}},
    "time that is none": {"options": {"eta": "soon"}},
    "countdown without end": {"options": {"countdown": 10**400}},
    "countdown a flag": {"options": {"countdown": True}},
    "expiry an object": {"options": {"expires": {}}},
    "headers a list": {"options": {"headers": []}},
    "link of a link": {"options": {"link": [{**NOTE, "options": {"link_error": [5]}}]}},
    "producer": {"options": {"producer": 5}},
}


@pytest.mark.parametrize("what", ODD)
def test_link_that_celery_cannot_use_is_a_fault(what):
    assert "invalid_task" == fault(new_app(add=True), "add", errbacks=[{**NOTE, **ODD[what]}])
    assert "invalid_task" == fault(new_app(add=True), "add", chord={**NOTE, **ODD[what]})


def test_message_is_not_changed_by_its_check():
    chain = {**NOTE, "subtask_type": "chain", "kwargs": {"tasks": [NOTE, SUM]}}
    body = dumps([[], {}, {**EMBED, "chain": [chain]}])
    message = Message(
        body,
        content_type="application/json",
        content_encoding="utf-8",
        headers={"task": "add", "id": "m-1"},
    )

    assert fault_of(message, new_app(add=True)) is None

    assert body == dumps(message.payload)
