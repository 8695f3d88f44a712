"""The web examples on their real servers, with a real worker: a double click is paid once."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count

import httpx2
import pytest
from redis import Redis

from askonce import JobSpec, identify
from sandbox.machine import ROOT, stop, wait_for
from sandbox.server import free_port
from sandbox.valkey import Valkey
from tests.deadlines import eventually, stretched

pytestmark = pytest.mark.acceptance

#: Each server is started in this way, and logs what becomes of each request's job.
LOGGING = "import logging; logging.basicConfig(level=logging.INFO); "
SERVERS = {
    "fastapi": [LOGGING + "from uvicorn import main; main()", "fastapi_app:web", "--port"],
    "flask": [LOGGING + "from flask.cli import main; main()", "--app", "flask_app", "run", "--port"],
}
READY = {"fastapi": b"Uvicorn running", "flask": b"Running on"}
_numbers = count(1)


class Web:
    """One web server, which a test may kill, and a client of it."""

    def __init__(self, name, env, folder):
        self._name, self._env, self._folder = name, env, folder
        self.port = free_port()
        self.begin()

    def begin(self):
        self._log = self._folder / f"{self._name}-{next(_numbers)}.log"
        command = [sys.executable, "-c", *SERVERS[self._name], str(self.port)]
        with self._log.open("wb") as out:
            self._process = subprocess.Popen(command, env=self._env, stdout=out, stderr=out, cwd=self._folder)
        wait_for(lambda: READY[self._name] in self._log.read_bytes(), self._process, self._log)

    def kill(self):
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self):
        stop(self._process)

    def wait_for_attached(self, key):
        eventually(lambda: f"job.attached task=rates.fetch key={key[:16]} " in self._log.read_text())

    def click(self, currency, **query):
        return self.post({"currency": currency}, **query)

    def post(self, payload, **query):
        url = f"http://127.0.0.1:{self.port}/rates"
        return httpx2.post(url, json=payload, params=query, timeout=stretched(60))

    def get(self, path):
        return httpx2.get(f"http://127.0.0.1:{self.port}{path}", timeout=stretched(60))


class Bank:
    """The paid calls of the worker."""

    def __init__(self, server):
        self._server = server

    def calls(self, currency):
        return self._server.lrange("ledger", 0, -1).count(currency)

    def wait_for_call(self, currency):
        eventually(lambda: self.calls(currency) == 1)

    def let_go(self, currency):
        self._server.rpush(f"gate:{currency}", "go")


@pytest.fixture(scope="module")
def env():
    with Valkey(tcp=True) as server:
        yield {
            **os.environ,
            "REDIS_URL": server.url,
            "CELERY_BROKER_URL": server.broker_url,
            "PYTHONPATH": f"{ROOT}:{ROOT / 'examples'}",
            "PYTHONUNBUFFERED": "1",
            "WEB_SECONDS": str(stretched(60)),
        }


@pytest.fixture(scope="module")
def bank(env, tmp_path_factory):
    """The bank, with a worker that calls it."""
    log = tmp_path_factory.mktemp("worker") / "worker.log"
    worker = [sys.executable, "-m", "celery", "-A", "tests.acceptance.web_worker", "worker"]
    with log.open("wb") as out:
        options = ("-P", "threads", "-c", "8", "-l", "INFO")
        process = subprocess.Popen([*worker, *options], cwd=ROOT, env=env, stdout=out, stderr=out)
    try:
        wait_for(lambda: b"ready." in log.read_bytes(), process, log)
        with Redis.from_url(env["REDIS_URL"], decode_responses=True) as client:
            yield Bank(client)
    finally:
        stop(process)


@contextmanager
def serving(name, env, folder):
    web = Web(name, env, folder)
    try:
        yield web
    finally:
        web.stop()


@pytest.fixture(scope="module", params=SERVERS)
def web(request, env, tmp_path_factory):
    with serving(request.param, env, tmp_path_factory.mktemp("web")) as web:
        yield web


@pytest.fixture
def currency():
    """One that no other test asks for."""
    return f"C{next(_numbers)}"


def key_of(currency):
    spec = JobSpec(name="rates.fetch")
    return identify(spec, {"currency": currency, "day": "today"}).key


@pytest.fixture
def clicks():
    """Click in threads."""
    with ThreadPoolExecutor(4) as pool:
        yield pool


def test_double_click_is_one_call_and_both_get_its_answer(web, bank, clicks, currency):
    first = clicks.submit(web.click, currency)
    bank.wait_for_call(currency)
    second = clicks.submit(web.click, currency)
    web.wait_for_attached(key_of(currency))

    bank.let_go(currency)

    replies = [click.result(stretched(60)) for click in (first, second)]
    answer = {"answer": {"currency": currency, "rate": 5.42}, "source": "call"}
    assert [(200, answer)] * 2 == [(reply.status_code, reply.json()) for reply in replies]
    assert {**answer, "source": "cache"} == web.click(currency).json()
    assert 1 == bank.calls(currency)


def test_double_click_that_is_rejected_says_where_the_answer_will_be(web, bank, clicks, currency):
    first = clicks.submit(web.click, currency)
    bank.wait_for_call(currency)

    rejected = web.click(currency, on_duplicate="reject")
    status = rejected.json()["status"]
    early = web.get(status)
    bank.let_go(currency)
    answered = first.result(stretched(60))

    assert (409, 202, 200) == (rejected.status_code, early.status_code, answered.status_code)
    assert rejected.json()["job"]
    assert {"status": status} == early.json()
    late = web.get(status)
    assert (200, answered.json()["answer"]) == (late.status_code, late.json()["answer"])
    assert 1 == bank.calls(currency)


def test_nothing_is_lost_when_the_web_server_is_killed(web, bank, clicks, currency):
    first = clicks.submit(web.click, currency)
    bank.wait_for_call(currency)
    status = web.click(currency, on_duplicate="reject").json()["status"]

    web.kill()
    assert isinstance(first.exception(stretched(60)), httpx2.HTTPError)
    web.begin()
    second = clicks.submit(web.click, currency)
    web.wait_for_attached(key_of(currency))
    bank.let_go(currency)

    assert {"answer": {"currency": currency, "rate": 5.42}, "source": "call"} == second.result().json()
    assert 200 == web.get(status).status_code
    assert 1 == bank.calls(currency)


def test_client_that_goes_away_loses_nothing(web, bank, currency):
    with pytest.raises(httpx2.TimeoutException):
        httpx2.post(f"http://127.0.0.1:{web.port}/rates", json={"currency": currency}, timeout=0.3)
    bank.wait_for_call(currency)

    bank.let_go(currency)

    assert 200 == web.click(currency).status_code
    assert 1 == bank.calls(currency)


def test_errors_have_their_statuses(web, bank):
    bank.let_go("unknown")

    failed, lacking, wrong = web.click("unknown"), web.post({}), web.post({"currency": "BRL", "day": [1]})

    assert (502, {"reason": "no_such_currency"}) == (failed.status_code, failed.json())
    assert (422, "currency") == (lacking.status_code, lacking.json()["field"])
    assert (422, "day") == (wrong.status_code, wrong.json()["field"])
    assert 404 == web.get(f"/rates/{'0' * 64}").status_code
    # FastAPI checks the query itself.
    assert web.click("BRL", on_duplicate="perhaps").status_code in (400, 422)
    assert 0 == bank.calls("BRL")


@pytest.mark.parametrize("name", SERVERS)
def test_store_that_is_away_is_a_503(name, env, tmp_path):
    away = f"redis://127.0.0.1:{free_port()}/0"
    with serving(name, {**env, "REDIS_URL": away, "CELERY_BROKER_URL": away}, tmp_path) as web:
        replies = [web.click("BRL"), web.get(f"/rates/{'0' * 64}")]

    assert [503, 503] == [reply.status_code for reply in replies]
