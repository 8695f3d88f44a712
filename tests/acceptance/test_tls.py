import threading
from contextlib import closing

import pytest

from askonce.adapters.redis import RedisStore
from askonce.claim import Claim, Terms
from askonce.job import Job
from askonce.spec import JobSpec
from sandbox.valkey import Valkey
from tests.acceptance.papers import env_of
from tests.deadlines import stretched
from tests.preloaded import Machine

pytestmark = [pytest.mark.acceptance, pytest.mark.redis]


class Secured:
    """A server that speaks TLS, and what its clients have to be told."""

    def __init__(self, papers, binary, *, mutual):
        self.papers, self.mutual = papers, mutual
        options = f"tls-auth-clients {'yes' if mutual else 'no'}"
        self.server = Valkey(binary=binary, papers=papers, options=options)

    def env(self, host="localhost", *, ca=True):
        url = f"rediss://{host}:{self.server.port}/0"
        env = {"REDIS_URL": url, "CELERY_BROKER_URL": url}
        return env | env_of(self.papers, ca=ca, own=self.mutual)

    def mistaken(self, trouble):
        """Return settings in which the authority is not known, or the name is not the certificate's."""
        return self.env(ca=False) if trouble == "authority" else self.env("127.0.0.1")


@pytest.fixture(scope="module", params=[False, True], ids=["one-sided", "mutual"])
def secured(request, papers, redis_server):
    secured = Secured(papers, redis_server._binary, mutual=request.param)
    with secured.server:
        yield secured


def test_worker_and_producer_do_a_job_over_tls(secured, customers, submit, producer, new_order):
    outside = {"failure_rate": 0, "customers": customers}
    with Machine(outside=outside, env=secured.env()) as machine:
        machine.start_worker("-P", "threads", "-c", "2")

        told = submit(machine, "orders.enrich", [new_order()], "--wait")
        looked = producer(machine, "doctor")
        calls = machine.ledger.customers.answered
        machine.stop_workers()

    assert (0, 1) == (told.code, calls)
    assert (0, []) == (looked.code, [line for line in looked.out.splitlines() if line.startswith("error")])


def test_wait_over_tls_hears_its_bell_and_every_end_of_many(secured, eventually):
    tls = {
        name.removeprefix("REDIS_").lower(): path for name, path in env_of(secured.papers, own=True).items()
    }
    keys = [f"{number:064x}" for number in range(300)]
    url = f"rediss://localhost:{secured.server.port}/0"
    with (
        closing(RedisStore.from_url(url, namespace="bell", tls=tls)) as store,
        store.subscribe(keys) as subscription,
    ):
        ring, heard = subscription.bell(), set()
        waiter = threading.Thread(target=subscription.wait, args=(600,), daemon=True)
        waiter.start()
        ring()
        waiter.join(stretched(20))
        assert not waiter.is_alive()

        for key in keys:
            store.admit(Claim(Job(key, "job", "f" * 64, task="t", payload=b"{}"), Terms.of(JobSpec())))
            store.invalidate(key)
        # One wait may hear many ends: those that are in TLS's own buffer too.
        eventually(lambda: heard.update(subscription.wait(5)) or heard == set(keys))


@pytest.mark.parametrize("trouble", ["authority", "name"])
@pytest.mark.parametrize("command", ["result", "submit"])
def test_server_that_cannot_prove_who_it_is_is_refused_in_a_line(
    idle_machine, producer, rows_file, new_order, secured, trouble, command
):
    asked = {"result": ["0" * 64], "submit": ["orders.enrich", rows_file(new_order())]}

    told = producer(idle_machine, command, *asked[command], **secured.mistaken(trouble))

    assert 69 == told.code
    assert "Traceback" not in told.err
    assert "CertificateRefused" in told.err


@pytest.mark.parametrize("trouble", ["authority", "name"])
def test_broker_that_cannot_prove_who_it_is_gets_no_message(idle_machine, producer, secured, trouble):
    env = {**secured.mistaken(trouble), "REDIS_URL": idle_machine.valkey.url}

    told = producer(idle_machine, "doctor", **env)

    assert 78 == told.code
    assert "error: broker: does not answer" in told.out
    assert "CertificateRefused" in told.out
