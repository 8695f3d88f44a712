from contextlib import closing

import pytest

from askonce.adapters.redis import RedisStore
from askonce.errors import StoreUnavailable
from askonce.store import Admission, Failing, Renewal, Write
from askonce.store_down import breaker
from tests.jobs import ANSWER, TTL, new_claim, new_job, new_lease
from tests.servers.proxy import Proxy

pytestmark = pytest.mark.integration

KEY, OTHER = "0a" + "0" * 62, "0b" + "0" * 62
LEASE = new_lease(KEY)
FOR_CALLERS = {
    "read": lambda store: store.read([KEY]),
    "admit": lambda store: store.admit(new_claim(OTHER)),
    "start": lambda store: store.start(new_job(KEY), LEASE),
    "checkpoint": lambda store: store.checkpoint(LEASE, "resp-1"),
    "cancel": lambda store: store.cancel(KEY),
    "invalidate": lambda store: store.invalidate(KEY),
    "dead jobs": lambda store: store.letters.dead_jobs(),
}
#: Each keeps a lease, an answer or a job that no caller waits for; and what it returns.
ALWAYS = {
    "renew": (lambda store: store.renew([LEASE]), [Renewal.OK]),
    "complete": (lambda store: store.complete(LEASE, ANSWER, TTL), Write.OK),
    "fail": (lambda store: store.fail(LEASE, Failing(kind="permanent", reason="x")).outcome, Write.OK),
    "reap": (lambda store: store.reap([0]), []),
}


@pytest.fixture
def heard():
    return []


@pytest.fixture
def store(tcp_server, monkeypatch, heard):
    """A store whose breaker is open for good although its server is well; one job is running."""
    monkeypatch.setattr(breaker, "_FIRST_REST", 3600.0)
    with Proxy(tcp_server.port) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}/0"
        with closing(RedisStore.from_url(url, namespace="breaker", listen=heard.append)) as store:
            for key in (KEY, OTHER):
                store.invalidate(key)
            store.admit(new_claim(KEY))
            store.start(new_job(KEY), LEASE)
            with proxy.refusing():
                proxy.cut()
                for _ in range(breaker._ERRORS):
                    with pytest.raises(StoreUnavailable):
                        store.read([KEY])
            yield store


@pytest.mark.parametrize("verb", FOR_CALLERS)
def test_open_breaker_keeps_a_caller_off_the_server(store, verb):
    with pytest.raises(StoreUnavailable) as caught:
        FOR_CALLERS[verb](store)

    assert "breaker_open" == caught.value.reason


@pytest.mark.parametrize("verb", ALWAYS)
def test_verb_without_a_caller_passes_the_breaker_and_closes_it(store, heard, verb):
    run, reply = ALWAYS[verb]

    assert reply == run(store)

    states = [event.name for event in heard if event.name in ("store.down", "store.up")]
    assert ["store.down", "store.up"] == states
    assert Admission.ADMITTED is store.admit(new_claim(OTHER)).outcome


def test_two_servers_have_a_breaker_each(store, tcp_server):
    with closing(RedisStore.from_url(tcp_server.url, namespace="breaker")) as other:
        assert "job-1" == other.read([KEY])[0].job

    with pytest.raises(StoreUnavailable, match="breaker_open"):
        store.read([KEY])
