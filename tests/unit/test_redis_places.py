import pytest

from askonce.adapters.redis import RedisStore
from askonce.adapters.redis.link import ServerLink
from askonce.adapters.redis.servers import connect
from askonce.errors import StoreUnavailable

SECRET = "s3cret"
PLACES = {
    f"redis://user:{SECRET}@127.0.0.1:6380/2": "127.0.0.1:6380/2",
    f"rediss://:{SECRET}@redis.example:6380": "redis.example:6380/0",
    f"unix://user:{SECRET}@/run/redis.sock?db=1": "/run/redis.sock?db=1",
    f"sentinel://user:{SECRET}@a:1;sentinel://b/3?master_name=main": "sentinel:main/3",
    f"redis+cluster://user:{SECRET}@a:1,b:2": "a:1,b:2",
}


@pytest.mark.parametrize("url", PLACES)
def test_place_of_a_server_has_no_login(url):
    servers = connect(url, {})
    link = servers if url.startswith("redis+cluster") else ServerLink(servers)

    assert PLACES[url] == link.place_of("{a}:rec:b")


def test_store_error_names_its_server():
    store = RedisStore.from_url(f"redis://user:{SECRET}@127.0.0.1:1/2", namespace="test")

    with pytest.raises(StoreUnavailable) as caught:
        store.read(["0" * 64])

    assert "127.0.0.1:1/2" == caught.value.server
    assert str(caught.value).endswith("verb=read reason=ConnectionError server=127.0.0.1:1/2")
    assert SECRET not in f"{caught.value} {caught.value!r}"
