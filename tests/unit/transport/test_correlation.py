"""A service gets the id of the job that calls it, and the line of the job has the id of the request."""

import re

import pytest

from askonce.answer import Answer
from askonce.attempt import Attempt, current_attempt, run
from askonce.errors import CallFailed, Transient
from tests.servers.by_hand import answering, reply
from tests.unit.transport.calls import BODIES


def attempt_of(job="job-1"):
    return Attempt(key="k", job=job, number=1, fence=1, stale=None, reference="", checkpoint=print)


def named_in(request):
    """Return what a request names as its job, None where it names none."""
    found = re.search(rb"(?im)^X-Client-Request-Id: (.*?)\r$", request)
    return found and found[1].decode()


def told(service, theirs):
    return reply(BODIES[service], f"x-request-id: {theirs}")


def test_request_names_its_job_and_the_job_its_request(serve, calling, service):
    server, attempt = serve(answering(told(service, "req_abc"))), attempt_of()

    run(lambda: Answer(value=calling(service, server.url)()), attempt)

    assert ["job-1"] == [named_in(each) for each in server.requests]
    assert "req_abc" == attempt.requests


def test_failed_call_keeps_the_id_of_its_request(serve, calling, service):
    server = serve(answering(b"HTTP/1.1 503 No\r\nx-request-id: req_503\r\nContent-Length: 0\r\n\r\n"))
    attempt = attempt_of()

    with pytest.raises(CallFailed):
        run(calling(service, server.url), attempt)

    assert "req_503" == attempt.requests


def test_call_without_a_job_names_none(serve, calling, service):
    server = serve(answering(told(service, "req_abc")))

    calling(service, server.url)()

    assert [None] == [named_in(each) for each in server.requests]


@pytest.mark.parametrize("job", ["", "é", "x" * 513, "a\rb"], ids=["none", "no ascii", "long", "control"])
def test_job_whose_id_is_no_header_is_not_named(serve, calling, job):
    server = serve(answering(told("model", "req_abc")))

    run(lambda: Answer(value=calling("model", server.url)()), attempt_of(job))

    assert [None] == [named_in(each) for each in server.requests]


@pytest.mark.parametrize("theirs", ["", "a b", "a,b", "x" * 129, "\x9b2J"], ids=ascii)
def test_id_of_a_request_that_is_no_word_is_not_kept(serve, calling, theirs):
    server, attempt = serve(answering(told("customers", theirs))), attempt_of()

    run(lambda: Answer(value=calling("customers", server.url)()), attempt)

    assert "" == attempt.requests


def test_ids_of_many_requests_are_bounded(serve, calling):
    server, attempt = serve(answering(told("customers", "req_abc"))), attempt_of()
    call = calling("customers", server.url)

    run(lambda: Answer(value=[call() for _ in range(25)]), attempt)

    assert 20 == len(attempt.request_ids)


def test_line_of_a_job_has_the_ids_of_its_requests(scene):
    def body(ids, error=None):
        current_attempt().request_ids.extend(ids)
        if error is not None:
            raise error
        return 1

    scene.answered(body=lambda: body(["req_1"], Transient("http_503")))
    scene.clock.advance(1_000)
    scene.work(lambda: body(["req_2", "req_3"]))

    [before], [end] = scene.heard.named("job.deferred"), scene.heard.named("job.done")
    assert ("req_1", "req_2,req_3") == (before.data["request_ids"], end.data["request_ids"])


@pytest.mark.parametrize("job", [" order 17", "order 17 ", "é", "a\nb"])
def test_job_whose_id_fits_into_no_header_is_called_all_the_same(serve, calling, service, job):
    server, attempt = serve(answering(told(service, "req_abc"))), attempt_of(job)

    run(lambda: Answer(value=calling(service, server.url)()), attempt)

    assert [None] == [named_in(each) for each in server.requests]
