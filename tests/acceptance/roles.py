"""What each user of the server does in its role, and what the server sees of it."""

import json
import re
import subprocess
import sys
import threading
from contextlib import closing
from socket import SO_REUSEADDR, SOL_SOCKET, create_connection, socket
from tempfile import TemporaryFile
from urllib.request import urlopen

from celery import Celery
from redis import Redis

from askonce.adapters.redis.checks import check_server
from askonce.cancel import cancel_run
from askonce.controls import Pause
from sandbox.machine import ROOT, stop
from sandbox.valkey import free_port
from tests import preloaded
from tests.deadlines import stretched
from tests.records import open_records
from tests.servers.proxy import Proxy


class Commands(threading.Thread):
    """Every command that the server runs, with the port of its client; also those inside scripts."""

    def __init__(self, server, login):
        super().__init__(daemon=True)
        self._socket = create_connection(("127.0.0.1", server.port))
        self._socket.sendall(f"AUTH {login}\r\nMONITOR\r\n".encode())
        self._file = self._socket.makefile("rb")
        assert [b"+OK\r\n"] * 2 == [self._file.readline() for _ in range(2)]
        self.seen = []
        self.start()

    def run(self):
        port = None
        for line in self._file:
            found = re.match(rb'\+[\d.]+ \[\d+ (?:lua|\S+:(\d+))\] (".*")\r\n$', line)
            # A script's commands follow the one that began it.
            port = int(found[1]) if found[1] else port
            words = re.findall(rb'"((?:[^"\\]|\\.)*)"', found[2])
            self.seen.append((port, tuple(word.decode().encode().decode("unicode_escape") for word in words)))

    def close(self):
        self._socket.shutdown(2)
        self.join()
        self._file.close()
        self._socket.close()


class NotingProxy(Proxy):
    """A proxy that knows by which ports it came to the server; no port is used by two of them."""

    def __init__(self, target):
        super().__init__(target)
        self.ports = set()

    def _connect(self):
        # The kernel would give the port of an ended connection to the next one: another role's, perhaps.
        port, server = free_port(), socket()
        server.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", port))
        server.settimeout(stretched(10))
        server.connect(("127.0.0.1", self.target))
        self.ports.add(port)
        return server


class Site:
    """A server with the users of the files, and each role on a way of its own to it."""

    def __init__(self, server, proxies, machine):
        self.server, self.proxies, self.machine = server, proxies, machine
        self.operator = Redis(port=server.port, username="operator", password="op", decode_responses=True)

    def url(self, role):
        if role == "operator":
            return f"redis://operator:op@127.0.0.1:{self.server.port}/0"
        return f"redis://{role}:change-me-{role}@127.0.0.1:{self.proxies[role].port}/0"

    def env(self, role):
        return {"REDIS_URL": preloaded.patient(self.url(role)), "CELERY_BROKER_URL": self.url(role)}

    def client(self, role):
        return Redis.from_url(self.url(role), decode_responses=True)

    def denied(self):
        """Return (user, command, what was missing) of everything that was refused."""
        log = self.operator.execute_command("ACL", "LOG", "100")
        return {(entry["username"], entry["object"], entry["reason"]) for entry in log}


class Work:
    """What each role does; `commands` are those that the server ran for it."""

    def __init__(self, site, spawn, rows, eventually):
        self.site, self.spawn, self.rows, self.eventually = site, spawn, rows, eventually

    def produce(self, *arguments, code=0, role="producer"):
        env = {**self.site.machine.env, **self.site.env(role)}
        with TemporaryFile("w+") as out, TemporaryFile("w+") as err:
            started = preloaded.start(["-m", "producer", *arguments], env, stdout=out, stderr=err)
            ended = started.wait(stretched(90))
            out.seek(0)
            err.seek(0)
            said, complained = out.read(), err.read()
        assert (code, False) == (ended, "Traceback" in complained), (arguments, said, complained)
        return said

    def run(self):
        self.leave_binding()
        self.leave_counters()
        self.worker = self.spawn(
            "worker", "worker", "-n", "celery@acl", "-c", "4", "--loglevel", "INFO", until=b"ready."
        )
        self.ask()
        self.hold()
        self.bury()
        self.refuse_letters()
        self.restore()
        self.stop_in_time()
        self.look_after()
        self.schedule()
        self.watch()
        self.measure()
        stop(self.worker)

    def ask(self):
        order = {"order_id": "A", "cliente_id": 1}
        told = json.loads(self.produce("explain", "orders.enrich", json.dumps(order)))
        # A record past its time, which the server has not removed yet.
        rest = f"b{told['key'][:2]}}}:rec:{told['key']}"
        self.site.operator.hset(f"{{askonce:jobs:{rest}", mapping={"lv": 1, "xp": 1})
        told = json.loads(self.produce("submit", "orders.enrich", self.rows(order), "--wait", "--json"))
        self.wait_for_another()
        self.lose_a_record()
        self.produce("result", told["key"])
        self.produce("submit", "orders.enrich", self.rows(order))
        self.produce("explain", "orders.enrich", json.dumps(order))
        assert "error" not in self.produce("doctor")

    def hold(self):
        self.produce("pause", "--task", "orders.enrich")
        assert "warning: pauses: " in self.produce("doctor")
        self.produce("resume", "--task", "orders.enrich")
        self.produce("cancel", "no-such-run", code=1)
        self.produce("runs", "list")
        for span in ((), ("--since", "2d")):
            assert "orders.enrich" in self.produce("cost", *span)

    def wait_for_another(self):
        """Let one job wait in the worker for the customer that another one asks for."""
        self.site.machine.control(hold=True)
        self.produce("submit", "orders.enrich", self.rows(*({"order_id": n, "cliente_id": 2} for n in "BC")))
        self.eventually(lambda: self.site.operator.pubsub_channels("{askonce:*"), 60)
        self.site.machine.control(hold=False)

    def bury(self):
        for end in ("replay", "discard"):
            meeting = {"meeting_id": end, "transcript": "Ana: We decided."}
            self.site.machine.control(llm_error_rate=1.0)
            self.produce("submit", "meetings.extract", self.rows(meeting), "--wait", code=1)
            self.site.machine.control(llm_error_rate=0.0)
            [found] = self.produce("dead", "list", "--json").splitlines()
            self.produce("dead", "show", json.loads(found)["key"])
            self.produce("dead", end, json.loads(found)["key"])

    def refuse_letters(self):
        self.send_stranger("producer", "askonce")
        self.await_letters(1)
        self.produce("dead", "replay", "--reason", "unknown_task")
        self.await_letters(1)
        self.produce("dead", "discard", "--reason", "unknown_task", "--all")

    def restore(self):
        """Leave a message as a worker that was killed does."""
        self.send_stranger("operator", "parked")
        operator = self.site.operator
        message = json.loads(operator.rpop("{jobs}:parked"))
        operator.hset("{jobs}:unacked", "lost", json.dumps([message, "", "askonce"]))
        operator.zadd("{jobs}:unacked_index", {"lost": 1})
        self.await_letters(1)

    def stop_in_time(self):
        """Pause and cancel jobs, and hold a run, as producers do."""
        pause = Pause("queue", "askonce")
        with closing(open_records(self.site.url("producer"), "jobs")) as store:
            store.controls.pause(pause, "acl")
            self.eventually(store.controls.pauses, 60)
            self.produce("submit", "orders.enrich", self.rows({"order_id": "P", "cliente_id": 4}))
            cancel_run(store, "night")
            store.controls.resume(pause)
            store.runs.hold("night", "acl:1", 15.0, "orders.enrich", {})
            store.runs.ask_to_stop("night", "acl")
            store.runs.release("night", "acl:1", "cancelled", {})
            assert "night" in [each.name for each in store.runs.list()]

    def look_after(self):
        """Find jobs and messages, read the audit, and purge a queue, as who is on call does."""
        self.produce("pause", "--queue", "askonce")
        self.produce("submit", "orders.enrich", self.rows({"order_id": "Q", "cliente_id": 5}))
        assert "paused" in self.produce("jobs", "list", "--task", "orders.enrich")
        job = json.loads(self.produce("jobs", "show", "orders.enrich", "order_id=Q", "--json"))
        assert "paused" in self.produce("jobs", "show", job["key"][:16])
        self.produce("jobs", "show", "orders.enrich", "cliente_id=5")
        self.produce("jobs", "replay", "--all")
        self.make_old()
        assert "askonce" in self.produce("queue", "list")
        assert "orders.enrich" in self.produce("queue", "peek", "askonce")
        self.produce("queue", "purge", "askonce", code=69)
        self.produce("jobs", "list", "--scan", code=69)
        self.produce("jobs", "list", "--scan", "--state", "done", role="oncall")
        self.produce("queue", "purge", "askonce", "--cancel", role="oncall")
        assert "purge" in self.produce("audit")
        self.produce("resume", "--queue", "askonce")

    def make_old(self):
        """Look at answers, and make some of them old."""
        [kept, *_] = map(json.loads, self.produce("cache", "list", "--json").splitlines())
        self.produce("cache", "get", kept["key"], "--value")
        assert "orders.enrich" in self.produce("cache", "stats")
        self.produce("cache", "invalidate", kept["key"], "--expire")
        self.produce("cache", "invalidate", "--tag", "acl")
        self.produce("cache", "clear", "--task", "meetings.full", "--yes")
        self.produce("cache", "warm", "orders.enrich", self.rows({"order_id": "A", "cliente_id": 1}))

    def schedule(self):
        """Fire the slots of a schedule, and look after it."""
        entry = "orders every night"
        beat = self.spawn(
            "producer", "beat", "-s", str(self.rows().with_suffix(".beat")), until=b"maxinterval"
        )
        # A scheduler has seen the entry.
        self.eventually(lambda: f'"entry": "{entry}"' in self.produce("schedule", "list", "--json"), 60)
        self.produce("schedule", "pause", entry)
        self.produce("schedule", "run", entry, code=1)
        self.produce("schedule", "resume", entry)
        self.produce("schedule", "run", entry)
        self.eventually(lambda: " done " in self.produce("schedule", "history", entry), 60)
        assert entry in self.produce("schedule", "next", "-n", "1")
        stop(beat)

    def leave_counters(self):
        """Leave the counters of a day long ago, which a worker folds."""
        self.site.operator.hset("{askonce:jobs:b00}:tally", "1\nt\n\n\ncalls", 1)

    def lose_a_record(self):
        """Let one call be paid whose record is gone when it ends."""
        self.site.machine.control(hold=True)
        self.produce("submit", "customers.lookup", self.rows({"cliente_id": 3}))
        assert self.site.machine.wait_for_held(1, stretched(30))
        told = json.loads(self.produce("explain", "customers.lookup", json.dumps({"cliente_id": 3})))
        self.site.operator.delete(f"{{askonce:jobs:b{told['key'][:2]}}}:rec:{told['key']}")
        self.site.machine.control(hold=False)
        self.eventually(lambda: "booked" in str(self.site.operator.keys("{askonce:*")), 60)

    def leave_binding(self):
        """Leave the binding of a queue of replies as somebody does who did not end well."""
        self.site.operator.zadd("{jobs}:_kombu.binding_deadlines", {"old": 1})
        self.site.operator.sadd("{jobs}:_kombu.binding.old", "x")

    def send_stranger(self, role, queue):
        with Celery(broker=self.site.url(role), set_as_current=False) as app:
            app.conf.broker_transport_options = {"global_keyprefix": "{jobs}:"}
            app.send_task("no.such.task", queue=queue)

    def await_letters(self, number):
        self.eventually(lambda: number == self.site.operator.xlen("{askonce:jobs:letters}"), 60)

    def watch(self):
        self.leave_binding()
        port = free_port()
        flower = self.spawn(
            "flower", "flower", "--address=127.0.0.1", f"--port={port}", until=b"Connected to"
        )

        def get(path):
            with urlopen(f"http://127.0.0.1:{port}/{path}", timeout=stretched(30)) as answer:
                return answer.read()

        self.eventually(lambda: b"flower_worker_online{" in get("metrics"), 60)
        assert b"No queue data" not in get("broker")
        inspect = [sys.executable, "-m", "celery", "-A", "worker.app", "inspect", "ping"]
        inspect += ["--destination", "celery@acl", "--timeout", "30"]
        env = {**self.site.machine.env, **self.site.env("flower")}
        told = subprocess.run(
            inspect, check=False, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
        )
        assert "pong" in told.stdout, (told, self.site.denied())
        stop(flower)

    def measure(self):
        with self.site.client("metrics") as client:
            found = check_server(client, subject="broker", place="here")
            assert {"persistence"} == {each.name for each in found if each.severity != "ok"}
        env = {**self.site.machine.env, **self.site.env("metrics")}
        with TemporaryFile("w+") as out, TemporaryFile("w+") as err:
            started = preloaded.start(["-m", "worker", "metrics"], env, stdout=out, stderr=err)
            ended = started.wait(stretched(60))
            out.seek(0)
            err.seek(0)
            text = out.read()
            assert 0 == ended, (err.read(), self.site.denied())
        assert {"askonce_store_up 1.0", "askonce_broker_up 1.0"} <= set(text.splitlines())
        assert 'askonce_queue_messages{queue="askonce"}' in text
