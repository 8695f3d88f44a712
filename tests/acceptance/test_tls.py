import subprocess
from pathlib import Path

import pytest

from sandbox.machine import Machine
from sandbox.valkey import Valkey, free_port

pytestmark = [pytest.mark.acceptance, pytest.mark.redis]

TOOL = "openssl"


@pytest.fixture(scope="module")
def papers(tmp_path_factory):
    """An authority, and a certificate for localhost that it signed; also for a client."""
    folder = tmp_path_factory.mktemp("papers")

    def run(*arguments):
        subprocess.run([TOOL, *arguments], cwd=folder, check=True, capture_output=True, timeout=60)

    new = ("req", "-newkey", "rsa:2048", "-nodes")
    run(*new, "-x509", "-days", "2", "-subj", "/CN=Test authority", "-keyout", "ca.key", "-out", "ca.crt")
    run(*new, "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr")
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    signed = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names")
    run("x509", "-req", "-in", "server.csr", "-days", "2", *signed, "-out", "server.crt")
    return folder


class Secured:
    """A server that speaks TLS on a port of its own."""

    def __init__(self, papers, binary, clients):
        self.papers, self.port = papers, free_port()
        lines = (
            f"tls-port {self.port}",
            f'tls-cert-file "{papers}/server.crt"',
            f'tls-key-file "{papers}/server.key"',
            f'tls-ca-cert-file "{papers}/ca.crt"',
            f"tls-auth-clients {clients}",
        )
        self.server = Valkey(binary=Path(binary), options="\n".join(lines))

    def env(self, host="localhost", *, ca=True, own=False):
        url = f"rediss://{host}:{self.port}/0"
        env = {"REDIS_URL": url, "CELERY_BROKER_URL": url}
        env |= {"REDIS_SSL_CA_CERTS": f"{self.papers}/ca.crt"} if ca else {}
        paths = {"CERTFILE": "server.crt", "KEYFILE": "server.key"} if own else {}
        return env | {f"REDIS_SSL_{name}": f"{self.papers}/{path}" for name, path in paths.items()}

    def mistaken(self, trouble):
        """Return settings in which the authority is not known, or the name is not the certificate's."""
        own = self.mutual
        return self.env(ca=False, own=own) if trouble == "authority" else self.env("127.0.0.1", own=own)


@pytest.fixture(scope="module", params=["no", "yes"], ids=["one-sided", "mutual"])
def secured(request, papers, redis_server):
    secured = Secured(papers, redis_server._binary, request.param)
    with secured.server:
        secured.mutual = request.param == "yes"
        yield secured


def test_worker_and_producer_do_a_job_over_tls(secured, customers, submit, producer, new_order):
    outside = {"failure_rate": 0, "customers": customers}
    with Machine(outside=outside, env=secured.env(own=secured.mutual)) as machine:
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
