"""The worker of the web examples, whose paid call is noted on the server and held until a test lets it go."""

import os

import own_celery_app
from redis import Redis

from askonce import Permanent

app = own_celery_app.app
SECONDS = float(os.environ["WEB_SECONDS"])


def call_the_bank(currency, day):
    # It waits for longer than a client does by default.
    with Redis.from_url(own_celery_app.REDIS_URL, socket_timeout=None) as server:
        server.rpush("ledger", currency)
        assert server.blpop(f"gate:{currency}", SECONDS), "never let go"
    if currency == "unknown":
        raise Permanent("no_such_currency")
    return 5.42


own_celery_app.call_the_bank = call_the_bank
