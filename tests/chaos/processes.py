"""Server, proxies, workers and producers of one run, and what can be done to them."""

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from threading import Event
from time import monotonic
from typing import NamedTuple

from redis import Redis
from redis.exceptions import RedisError

from askonce.adapters.redis import RedisStore
from askonce.controls import Pause
from askonce.errors import JobError, StoreUnavailable
from askonce.store import Cancellation
from sandbox.demo import children_of
from sandbox.valkey import Valkey
from tests.chaos.recording import Journal, RecordingStore
from tests.chaos.state import NEVER
from tests.servers.proxy import Proxy

ROOT = Path(__file__).parents[2]
LISTS, UNACKED, RECORDS = ("{chaos}:chaos*", "{chaos}:rare*"), "{chaos}:unacked", "{askonce:chaos:"
#: Processes by name, and what they run. Celery's own beat of itself is of no use here.
WORKER = ("-m", "celery", "-A", "tests.chaos.app", "worker", "--loglevel", "WARNING")
QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat")
PROGRAMS = {
    "threads": (*WORKER, *QUIET, "-n", "threads@%h", "-P", "threads", "-c", "8", "-Q", "chaos,rare"),
    "prefork": (*WORKER, *QUIET, "-n", "prefork@%h", "-P", "prefork", "-c", "2", "-Q", "chaos"),
}
#: A child was killed before the pool was up, or while the broker's link was lost: Celery ends the worker
#: then, for its supervisor.
ENDS_OF_CELERY = (
    "WorkerLostError: Could not start worker processes",
    r"in get_process_queues\n[^\n]*\n(?:[^\n]*\n){0,2}StopIteration",
)
#: Seconds until the end of a pause is tried again, and for which all is healed.
AGAIN, HEAL_SECONDS = 0.2, 30.0
#: Seconds in which a worker writes its stacks.
STACKS_SECONDS = 3.0
#: Lines of the log of a process that ended by itself, and bytes of that of a worker that holds a message.
SHOWN, LAST_SAID = 25, 4000
WORKERS, PRODUCERS = ("threads", "prefork"), ("asker-0", "asker-1")
#: Its broker has the address of its store, so it admits and sends in one step.
ONE_STEP = "asker-1"
#: What a pause may name: the one task, one tenant, all.
PAUSES = (Pause("all"), Pause("task", "chaos.ask"), Pause("tenant", "acme"))


def waiting_lists(client):
    """The lists of both queues that hold messages: one for each priority."""
    return sorted(name for names in LISTS for name in client.scan_iter(names, count=1000))


class Pausing(NamedTuple):
    """A pause that surely held from *since* to *until*."""

    scope: str
    name: str
    since: float
    until: float

    def holds(self, op):
        held = self.since < op.invoked and op.returned < self.until
        return held and (self.scope == "all" or op.args[self.scope] == self.name)


class Processes:
    """A context manager; *folder* keeps histories, ledger and logs."""

    def __init__(self, folder, seed, keys, *, mutant="", recorded=True):
        self.folder, self.mutant, self.recorded = folder, mutant, recorded
        self.programs = PROGRAMS | {
            name: ("-m", "tests.chaos.asker", f"{seed} {name}", str(keys)) for name in PRODUCERS
        }
        self.processes = {}
        #: When each was killed, by its process id.
        self.killed = {}
        #: What ended although nobody killed it.
        self.ended = []
        #: What was paused, and from when until when for certain.
        self.pauses = []
        #: How long each log was when its process began.
        self._logged = {}
        self._undo, self._refused, self._paused = [], False, False
        (folder / "history").mkdir()

    def __enter__(self):
        with ExitStack() as stack:
            # Written before it is answered, so that a killed server forgets nothing that it said.
            self.server = stack.enter_context(
                Valkey(self.folder / "data", tcp=True, options="appendfsync no")
            )
            self.store = stack.enter_context(Proxy(self.server.port))
            self.broker = stack.enter_context(Proxy(self.server.port))
            self.client = stack.enter_context(Redis.from_url(self.server.url))
            self.journal = Journal(self.folder / "history")
            store = RedisStore.from_url(self.server.url, namespace="chaos")
            stack.callback(store.close)
            # A history without the processes' own verbs explains nothing.
            self.records = RecordingStore(store, self.journal) if self.recorded else store
            stack.callback(self.kill_all)
            for name in self.programs:
                self.start(name)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    def _env(self, name):
        broker = self.store if name == ONE_STEP else self.broker
        return {
            **os.environ,
            "CHAOS_FOLDER": str(self.folder),
            "CHAOS_STORE_URL": f"redis://127.0.0.1:{self.store.port}/0",
            "CHAOS_BROKER_URL": f"redis://127.0.0.1:{broker.port}/0",
            "CHAOS_MUTANT": self.mutant,
            "CHAOS_RECORDED": str(int(self.recorded)),
        }

    def start(self, name):
        env = self._env(name)
        wrapper = [sys.executable, "-m", "sandbox.run_with_parent", "SIGKILL", "--", sys.executable]
        with (self.folder / f"{name}.log").open("ab") as log:
            self._logged[name] = log.tell()
            command = [*wrapper, *self.programs[name]]
            self.processes[name] = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)

    def keep_running(self):
        """Start again what has ended."""
        for name, process in self.processes.items():
            if process.poll() is not None:
                if process.pid not in self.killed:
                    self._explain_end(name, process)
                self.start(name)

    def _explain_end(self, name, process):
        self.killed[process.pid] = monotonic()
        with (self.folder / f"{name}.log").open("rb") as log:
            log.seek(self._logged[name])
            said = log.read().decode(errors="replace")
        # Other threads may log after its last word.
        if process.returncode == 1 and any(re.search(end, said, re.DOTALL) for end in ENDS_OF_CELERY):
            return
        shown = said.splitlines()[-SHOWN:]
        self.ended.append("\n  ".join([f"{name} ended by itself with {process.returncode}", *shown]))

    def has_called(self):
        """Return whether a worker has made a call."""
        return (self.folder / "ledger.jsonl").exists()

    def inspected(self):
        """Return the messages that the workers say they have, and in which state."""
        for state in ("active", "reserved", "scheduled", "held"):
            command = [sys.executable, "-m", "celery", "-A", "tests.chaos.app", "inspect", state]
            done = subprocess.run(
                command, cwd=ROOT, env=self._env(""), capture_output=True, text=True, check=False
            )
            yield f"{state}: {done.stdout}{done.stderr}"

    def forgotten(self):
        """Return how many messages the workers gave back because nothing ran for them any more."""
        return sum((self.folder / f"{name}.log").read_bytes().count(b"message.forgotten") for name in WORKERS)

    def stacks(self):
        """Return what each worker said last, and what each of its processes does, as Celery logs it."""
        for name in WORKERS:
            log = self.folder / f"{name}.log"
            known, pid = log.stat().st_size, self.processes[name].pid
            for each in (pid, *children_of(pid)):
                os.kill(each, signal.SIGUSR1)
            Event().wait(STACKS_SECONDS)
            said = log.read_bytes()
            yield f"{name} said: {said[:known][-LAST_SAID:].decode(errors='replace')}"
            yield f"{name}: {said[known:].decode(errors='replace')}"

    def end_producers(self):
        for name in PRODUCERS:
            with suppress(ProcessLookupError):
                self._kill(self.processes.pop(name).pid)

    def undo(self, now):
        """End the faults whose time is over."""
        for due, action in [each for each in self._undo if each[0] <= now]:
            self._undo.remove((due, action))
            action()

    def apply(self, fault):
        """Do it; tell whether it could be done."""
        try:
            return getattr(self, fault.kind)(fault) is not False
        except (RedisError, JobError, ProcessLookupError):
            return False

    def kill_child(self, fault):
        return self._kill(self._child(fault))

    def kill_worker(self, fault):
        process = self.processes[_pick(WORKERS, fault)]
        children = children_of(process.pid)
        self._kill(process.pid)
        for child in children:
            with suppress(ProcessLookupError):
                self._kill(child)

    def kill_producer(self, fault):
        return self._kill(self.processes[_pick(PRODUCERS, fault)].pid)

    def stall_worker(self, fault):
        return self._stall(self.processes["threads"].pid, fault)

    def stall_child(self, fault):
        return self._stall(self._child(fault), fault)

    def stall_producer(self, fault):
        return self._stall(self.processes[_pick(PRODUCERS, fault)].pid, fault)

    def cut_store(self, _fault):
        self.store.cut()

    def cut_broker(self, _fault):
        self.broker.cut()

    def block_store(self, fault):
        self._block(self.store, fault)

    def block_broker(self, fault):
        self._block(self.broker, fault)

    def refuse_store(self, fault):
        if self._refused:
            return False
        self._refused, refusing = True, self.store.refusing()
        refusing.__enter__()
        self.store.cut()

        def listen():
            self._refused = False
            refusing.__exit__(None, None, None)

        self._later(fault, listen)
        return True

    def drop_store_reply(self, _fault):
        self.store.drop_reply(b"EVALSHA")

    def drop_broker_reply(self, _fault):
        self.broker.drop_reply(b"LPUSH")

    def restart_server(self, _fault):
        self.server.kill()
        self.server.start()

    def lose_queue(self, fault):
        lists = waiting_lists(self.client)
        return bool(lists and self.client.delete(_pick(lists, fault)))

    def lose_message(self, fault):
        lists = waiting_lists(self.client)
        return bool(lists) and self.client.rpop(_pick(lists, fault)) is not None

    def double_messages(self, _fault):
        """What waits, and what is under way."""
        copies = {name.decode(): self.client.lrange(name, 0, 3) for name in waiting_lists(self.client)}
        taken = [json.dumps(json.loads(noted)[0]) for noted in self.client.hvals(UNACKED)]
        # A copy of one of these may come in another queue.
        copies["{chaos}:chaos"] = copies.get("{chaos}:chaos", []) + taken[:6]
        return sum(self.client.lpush(name, *texts) for name, texts in copies.items() if texts) > 0

    def cancel_job(self, fault):
        """One in flight, where there is one."""
        indexes = self.client.scan_iter(f"{RECORDS}*:idx", count=1000)
        flying = sorted(key.decode() for index in indexes for key in self.client.zrange(index, 0, -1))
        if not flying:
            return False
        return self.records.cancel(_pick(flying, fault)) is not Cancellation.ABSENT

    def pause_jobs(self, fault):
        if self._paused:
            return False
        pause, self._paused = _pick(PAUSES, fault), True
        # Before the pause: a part of it may hold although its reply is lost.
        self._later(fault, partial(self._resume, pause))
        self.records.controls.pause(pause, "chaos")
        self.pauses.append(Pausing(pause.scope, pause.name, monotonic(), NEVER))
        return True

    def _resume(self, pause):
        self.pauses = [each._replace(until=min(each.until, monotonic())) for each in self.pauses]
        try:
            self.records.controls.resume(pause)
        except StoreUnavailable:
            # On a busy machine; no job must stay paused.
            self._undo.append((monotonic() + AGAIN, partial(self._resume, pause)))
        else:
            self._paused = False

    def lose_record(self, fault):
        records = sorted(self.client.scan_iter(f"{RECORDS}*:rec:*", count=1000))
        if not records:
            return False
        record = _pick(records, fault)
        lost = self.journal.invoke("lose", record.decode()[-64:])
        self.client.delete(record)
        self.journal.write(e="ok", id=lost, sent=1, outcome="ok", seen=None)
        return True

    def heal(self):
        """End every fault."""
        until = monotonic() + HEAL_SECONDS
        while self._undo and monotonic() < until:
            self.undo(float("inf"))

    def kill_all(self):
        self.heal()
        for process in self.processes.values():
            children = children_of(process.pid)
            process.kill()
            process.wait()
            for child in children:
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)

    def _child(self, fault):
        children = children_of(self.processes["prefork"].pid)
        if not children:
            raise ProcessLookupError
        return _pick(children, fault)

    def _kill(self, pid):
        # Noted first: somebody may find it dead at once.
        self.killed[pid] = monotonic()
        os.kill(pid, signal.SIGKILL)

    def _stall(self, pid, fault):
        os.kill(pid, signal.SIGSTOP)

        def go_on():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

        self._later(fault, go_on)

    def _block(self, proxy, fault):
        proxy.block()
        self._later(fault, proxy.unblock)

    def _later(self, fault, action):
        self._undo.append((monotonic() + fault.lasts, action))


def _pick(things, fault):
    return things[int(fault.pick * len(things))]
