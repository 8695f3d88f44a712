from pathlib import Path

import pytest

from sandbox.server import free_port
from tests.acceptance.papers import env_of
from tests.preloaded import Machine
from tests.servers.rabbitmq import RabbitMQ

pytestmark = [pytest.mark.acceptance, pytest.mark.rabbitmq]

PAGE = Path(__file__).parents[2] / "docs" / "rabbitmq.md"
#: Which names each user may make, write to and read from, as the page says.
ALLOWED = {
    "producer": ("^(jobs:askonce|celery_delayed.*)$",) * 3,
    "worker": ("^(jobs:askonce|celery.*|.*pidbox)$",) * 3,
}


class Secured:
    """A server that speaks TLS with whom its authority knows, and has a user for each role."""

    def __init__(self, papers):
        self.papers, self.port = papers, free_port()
        lines = (
            f"listeners.ssl.1 = 127.0.0.1:{self.port}",
            f"ssl_options.cacertfile = {papers}/ca.crt",
            f"ssl_options.certfile = {papers}/server.crt",
            f"ssl_options.keyfile = {papers}/server.key",
            "ssl_options.verify = verify_peer",
            "ssl_options.fail_if_no_peer_cert = true",
        )
        self.server = RabbitMQ(options="\n".join(lines))

    def admit_users(self):
        for user, patterns in ALLOWED.items():
            self.server.ask("add_user", user, f"change-me-{user}")
            self.server.ask("set_permissions", user, *patterns)

    def env(self, user, *, host="localhost", ca=True, own=True):
        env = {"CELERY_BROKER_URL": f"amqps://{user}:change-me-{user}@{host}:{self.port}//"}
        return env | env_of(self.papers, ca=ca, own=own)


@pytest.fixture(scope="module")
def secured(papers):
    secured = Secured(papers)
    with secured.server:
        secured.admit_users()
        yield secured


def test_job_is_done_by_the_users_of_a_rabbitmq_over_tls(secured, customers, submit, producer, new_order):
    asker = secured.env("producer")
    outside = {"failure_rate": 0, "customers": customers}
    with Machine(outside=outside, env=secured.env("worker")) as machine:
        machine.start_worker("-P", "threads", "-c", "2")

        told = submit(machine, "orders.enrich", [new_order()], "--wait", **asker)
        looked = producer(machine, "doctor", **asker)
        calls = machine.ledger.customers.answered
        machine.stop_workers()
        log = (machine.folder / "worker.log").read_text()

    assert (0, 1) == (told.code, calls)
    assert (0, []) == (looked.code, [line for line in looked.out.splitlines() if line.startswith("error")])
    assert "ACCESS_REFUSED" not in log


@pytest.mark.parametrize(
    "trouble",
    [{"ca": False}, {"host": "127.0.0.1"}, {"own": False}],
    ids=["authority", "name", "unknown client"],
)
def test_rabbitmq_without_a_valid_certificate_gets_no_message(
    secured, idle_machine, producer, submit, new_order, trouble
):
    env = secured.env("producer", **trouble)

    looked = producer(idle_machine, "doctor", **env)
    told = submit(idle_machine, "orders.enrich", [new_order()], **env)

    assert (78, 69) == (looked.code, told.code)
    assert "error: broker: does not answer" in looked.out
    assert "Traceback" not in looked.err + told.err
    assert "change-me" not in looked.out + looked.err + told.out + told.err


def test_user_who_may_not_send_gets_one_line(secured, idle_machine, submit, new_order):
    secured.server.ask("add_user", "reader", "change-me-reader")
    secured.server.ask("set_permissions", "reader", "^$", "^$", ".*")

    told = submit(idle_machine, "orders.enrich", [new_order()], **secured.env("reader"))

    assert 69 == told.code
    assert "The broker did not accept the" in told.err
    assert "Traceback" not in told.err


def test_page_names_what_each_user_may():
    page = PAGE.read_text().replace("\\|", "|")

    assert [] == [each for patterns in ALLOWED.values() for each in patterns if f"`{each}`" not in page]
