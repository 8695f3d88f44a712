"""How a test reads records: as the product does, with the patience of a test."""

from askonce.adapters.redis.servers import connect
from askonce.adapters.redis.store import CLIENT_OPTIONS, RedisStore
from tests.deadlines import stretched


def open_records(url, namespace):
    """Return a store that waits for a slow server; the product's own gives up after a third of a second."""
    seconds = dict.fromkeys(("socket_timeout", "socket_connect_timeout"), stretched(20))
    return RedisStore(connect(url, {**CLIENT_OPTIONS, **seconds}), namespace=namespace)
