import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from kombu import Connection

ROOT = Path(__file__).parents[2]
PRINT = """
import json, celeryconfig as c
names = ("broker_transport", "broker_transport_options", "task_default_queue", "worker_disable_prefetch")
queues = [[q.name, q.exchange.type, q.routing_key, q.queue_arguments] for q in getattr(c, "task_queues", ())]
print(json.dumps([*(getattr(c, name, None) for name in names), queues]))
"""


def settings_of(url, **environment):
    env = {**os.environ, "ENV_FILE": "", "CELERY_BROKER_URL": url, **environment}
    done = subprocess.run(
        [sys.executable, "-c", PRINT], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("url", "transport"), [("amqp://h/v", "Transport"), ("amqps://h/v", "SSLTransport")], ids=["plain", "tls"]
)
def test_rabbitmq_gets_a_quorum_queue_and_no_redis_setting(url, transport):
    name, options, queue, without_prefetch, queues = settings_of(url, ASKONCE_NAMESPACE="a.b")

    assert f"askonce.adapters.kombu.amqp:{transport}" == name
    assert {"confirm_publish", "reply_timeout", "max_retries", "interval_start"} == options.keys()
    assert options["confirm_publish"]
    assert not without_prefetch
    [[named, exchange, key, arguments]] = queues
    # A dot would let another namespace's delayed messages match.
    assert ("a/b:askonce", "topic") == (named, exchange)
    assert named == key == queue
    assert {"x-queue-type": "quorum", "x-delivery-limit": 20, "x-consumer-timeout": 86_400_000} == arguments


@pytest.mark.parametrize(
    ("url", "transport"), [("redis://h", "Transport"), ("rediss://h", "SSLTransport")], ids=["plain", "tls"]
)
def test_redis_gets_no_rabbitmq_setting(url, transport):
    name, options, queue, without_prefetch, queues = settings_of(url)

    assert f"askonce.adapters.kombu.redis:{transport}" == name
    assert ("askonce", True) == (queue, without_prefetch)
    assert "confirm_publish" not in options
    assert [] == queues


@pytest.mark.parametrize(
    "url", ["redis://a:b@h:1/2", "rediss://a:b@h:1/2", "amqp://a:b@h:1/v", "amqps://a:b@h:1/v"]
)
def test_transport_is_shown_under_the_scheme_of_its_url(url):
    name, *_ = settings_of(url)

    with Connection(url, transport=name) as connection:
        assert url == connection.as_uri(include_password=True)
