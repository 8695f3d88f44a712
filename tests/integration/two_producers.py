"""A producer that records a job and sends its message in one step, and one that takes two."""

import base64
import json
from dataclasses import replace

from celery import Celery
from redis import Redis

from askonce.adapters.celery.one_step import new_producer
from askonce.adapters.celery.sender import CelerySender
from askonce.adapters.redis import RedisStore
from askonce.outcomes import Admitted
from askonce.spec import JobSpec

PAYLOADS = [
    {"currency": "BRL"},
    {"note": 'é "quoted" %s %(key)b \\ \n \U0001f600', "n": [1, 2.5, None, True]},
    {"a": "a" * 64, "b": "b" * 32, "e": "e" * 16, "f": "f" * 36},
    {"d": "d" * 36, "f": "f" * 36, "places": "\x011 \x012 %1 %%", "sep": "/\u2028\x7f"},
    {"long": "x" * 50_000},
    {"currency": 'it\'s \\ "é" / \x7f'[:-2], "n": 7},
]


class TwoProducers:
    """Both, the same otherwise, on one server that is emptied first."""

    def __init__(self, url, **conf):
        self.app = Celery("publishing", broker=url, set_as_current=False)
        self.app.conf.update({"task_default_queue": "jobs", "task_ignore_result": True, **conf})
        self.client = Redis.from_url(url)
        self.client.flushall()
        self.store = RedisStore.from_url(url, namespace="test")
        self.one_step = new_producer(self.app, self.store, CelerySender(self.app))
        self.two_steps = replace(self.one_step, publish=None)
        self.spec = JobSpec(name="rates.fetch", shown=("currency", "n"))

    def close(self):
        self.store.close()
        self.client.close()
        self.app.close()

    def ask(self, payloads, **options):
        """Enqueue a group, in one step."""
        return self.one_step.enqueue_many(self.spec, payloads, **options)

    def take(self, queue="jobs"):
        """Take the messages off a queue, the oldest first."""
        return [json.loads(raw) for raw in self.client.rpop(queue, 1000) or []]

    def messages(self):
        """Take all messages off the server: (list, message) each."""
        lists = [key for key in self.client.scan_iter() if self.client.type(key) == b"list"]
        return [(key.decode(), json.loads(raw)) for key in lists for raw in self.client.lpop(key, 100)]

    def sent(self, producer, payload, **options):
        """The one message that a question sends; nothing is known of it before or after."""
        self.messages()
        for key in self.client.scan_iter("{askonce:*"):
            self.client.delete(key)
        asked = producer.enqueue(self.spec, payload, **options)
        assert isinstance(asked, Admitted)
        [(queue, message)] = self.messages()
        return queue, message

    def template(self):
        [template] = self.one_step.publish._templates.values()
        return template

    def damage(self, key, how):
        name = self.store._scripts.record_keys(key)[0]
        if how == "type":
            self.client.delete(name)
            self.client.set(name, "no record")
        else:
            self.client.hset(name, "lv", 99)


def comparable(message):
    """A message without what differs by itself: its tag, and whether its body is wrapped."""
    properties, identity = message["properties"], message["headers"]["headers"]["askonce"]
    assert properties.pop("delivery_tag")
    assert identity.pop("admitted_at") == identity.pop("sent_at") > 0
    plain = properties.pop("body_encoding") == "utf-8"
    message["body"] = message["body"].encode() if plain else base64.b64decode(message["body"])
    return message
