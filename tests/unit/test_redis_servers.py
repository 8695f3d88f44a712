import pytest

from askonce.adapters.redis import RedisStore
from askonce.adapters.redis.servers import parse
from askonce.errors import StoreUnavailable

MARKER = "hunter2-of-ana-souza"
# Nothing listens on port 1.
URLS = [
    f"redis+cluster://ana:{MARKER}@127.0.0.1:1",
    f"sentinel://:{MARKER}@127.0.0.1:1/0?master_name=main",
    f"rediss+sentinel://127.0.0.1:1/0?master_name=main&sentinel_password={MARKER}",
]


def test_login_is_decoded_for_the_servers():
    assert {"username": "ana", "password": "p@ss"} == parse("redis+cluster://ana:p%40ss@one:7000").credentials


def test_ipv6_and_default_ports_are_understood():
    assert (("::1", 26379), ("two", 5)) == parse("sentinel://[::1];sentinel://two:5?master_name=main").nodes


@pytest.mark.parametrize("url", URLS)
def test_password_is_in_no_repr_and_no_error(url):
    store = RedisStore.from_url(url, namespace="test")
    with pytest.raises(StoreUnavailable) as caught:
        store.read(["0" * 64])
    store.close()

    told, error = [repr(parse(url)), parse(url).place, repr(store)], caught.value
    while error is not None:
        told.append(f"{error!r} {error}")
        error = error.__cause__ or error.__context__
    assert [] == [text for text in told if MARKER in text]
