"""How a test reads records: as the product does, with the patience of a test."""

from askonce.adapters.redis.servers import connect
from askonce.adapters.redis.store import CLIENT_OPTIONS, RedisStore
from tests.deadlines import stretched


def open_records(url, namespace):
    """Return a store that waits for a slow server."""
    return RedisStore(connect(url, patient_options()), namespace=namespace)


def patient_options():
    """Return the options of a client that waits; the product's own gives up after a third of a second."""
    return CLIENT_OPTIONS | dict.fromkeys(("socket_timeout", "socket_connect_timeout"), stretched(20))
