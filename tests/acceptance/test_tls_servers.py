from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.acceptance.papers import env_of
from tests.preloaded import Machine
from tests.servers.clusters import Cluster, Watched

pytestmark = [pytest.mark.acceptance, pytest.mark.redis, pytest.mark.servers]

ROOT = Path(__file__).parents[2]
ACL = ROOT / "deploy" / "acl"
#: What the users of one server need besides, as the page says: to find a cluster's nodes; and behind
#: sentinels, what kombu's own transport takes messages with.
CLUSTER_TOO = "+cluster|slots"
SENTINEL_TOO = (
    "+script|load +script|exists (~{jobs}:unacked_mutex +set +get +del +eval +evalsha)"
    " (~{jobs}:unacked_index +zrange)"
)
#: Who may ask a sentinel where the primary is, and nothing else.
ASKER = "user asker on >change-me-asker -@all +sentinel|masters"


class Site:
    """Records on a cluster, messages where sentinels say: all over TLS, each role with its own login."""

    def __init__(self, stack, folder, papers, binary):
        # Whoever does not log in stays on, for the tests' own questions.
        users = {
            role: (ROOT / f"deploy/acl/{role}.acl").read_text().strip() for role in ("producer", "worker")
        }
        (folder / "cluster.acl").write_text("".join(f"{rules} {CLUSTER_TOO}\n" for rules in users.values()))
        (folder / "users.acl").write_text(f"{users['producer']}\n{users['worker']} {SENTINEL_TOO}\n")
        self.papers, how = papers, {"papers": papers, "binary": binary}
        self.cluster = stack.enter_context(Cluster(options=f'aclfile "{folder}/cluster.acl"', **how))
        options = f'aclfile "{folder}/users.acl"'
        self.watched = stack.enter_context(Watched(options=options, sentinel_options=ASKER, **how))

    def env(self, role, *, asker="change-me-asker", ca=True):
        login = f"{role}:change-me-{role}@"
        query = f"&sentinel_username=asker&sentinel_password={asker}"
        return {
            "REDIS_URL": self.cluster.url_of(login),
            "CELERY_BROKER_URL": self.watched.url_of(login, query),
            **env_of(self.papers, ca=ca),
        }


@pytest.fixture
def site(tmp_path, papers, redis_server):
    with ExitStack() as stack:
        yield Site(stack, tmp_path, papers, redis_server._binary)


def test_jobs_run_over_tls_on_a_cluster_and_on_sentinels(
    site, customers, submit, producer, new_order, eventually
):
    asker = site.env("producer")
    outside = {"failure_rate": 0, "customers": customers}
    with Machine(outside=outside, env=site.env("worker")) as machine:
        machine.start_worker("-P", "threads", "-c", "2")
        first = submit(machine, "orders.enrich", [new_order()], "--wait", **asker)
        looked = producer(machine, "doctor", **asker)

        site.watched.primary.kill()
        site.watched.await_failover()
        orders = [new_order()]
        eventually(lambda: submit(machine, "orders.enrich", orders, "--wait", **asker).code == 0, 60)
        calls = machine.ledger.customers.answered
        machine.stop_workers()

    assert (0, 2) == (first.code, calls)
    assert (0, []) == (looked.code, [line for line in looked.out.splitlines() if line.startswith("error")])


@pytest.mark.parametrize("trouble", [{"ca": False}, {"asker": "wrong"}], ids=["authority", "login"])
def test_untrusted_or_closed_servers_are_one_line(site, idle_machine, producer, trouble):
    told = producer(idle_machine, "doctor", **site.env("producer", **trouble))

    assert 78 == told.code
    assert "error: broker: does not answer" in told.out
    assert ("error: store: does not answer" in told.out) == ("ca" in trouble)
    assert "Traceback" not in told.err
    assert "change-me" not in told.out + told.err


def test_page_names_what_users_need_besides():
    page = (ROOT / "docs/security.md").read_text()

    assert [] == [rule for rule in (CLUSTER_TOO, SENTINEL_TOO, ASKER) if f"`{rule}`" not in page]
