import pytest

from sandbox.valkey import Valkey
from tests.acceptance.papers import env_of
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
