"""Starts Python programs of the project by fork from a process that has loaded the libraries already.

Loading them takes longer than most tests need a program for. What is started is a process of its own, with
its own program, environment, folder and files. Nothing of the project is loaded before the fork.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from select import select

from sandbox import machine
from sandbox.machine import ROOT
from sandbox.parent import die_with_parent

#: What the programs of the project load of others.
LIBRARIES = (
    "celery.bin.celery",
    "celery.bin.worker",
    "celery.apps.worker",
    "celery.concurrency.prefork",
    "celery.concurrency.thread",
    "celery.worker.consumer",
    "celery.fixups.django",
    "kombu.transport.redis",
    "redis.sentinel",
    "redis.cluster",
    "pydantic_settings",
    "httpx2",
    "openai.resources.responses",
    "genai_prices",
    "click",
    "orjson",
)
#: Settings of Python and of the libraries that are read while they are loaded.
READ_AT_LOADING = {"PYTHONPATH", "REMAP_SIGTERM"}
_REQUEST_BYTES = 1 << 20


class Process:
    """A started program: what tests use of ``subprocess.Popen``."""

    def __init__(self, pid, arguments, status):
        self.pid, self.args, self.returncode = pid, arguments, None
        self._status = status

    def poll(self):
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout=None):
        if self.returncode is None:
            if not select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout)
            # Empty where the loaded process itself is gone, and with it all that it started.
            self.returncode = int(self._status.read() or -signal.SIGKILL)
            self._status.close()
        return self.returncode

    def send_signal(self, number):
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def kill(self):
        self.send_signal(signal.SIGKILL)


class Machine(machine.Machine):
    """The sandbox whose workers and producers are started by fork, and wait for a slow store."""

    @property
    def env(self):
        return {**super().env, "REDIS_URL": patient(self.valkey.url), **self._extra}

    def spawn(self, *arguments, log, ended_by="SIGTERM", env=None):
        environment = {**self.env, **(env or {})}
        if READ_AT_LOADING & environment.keys():
            return super().spawn(*arguments, log=log, ended_by=ended_by, env=env)
        with log.open("ab") as out:
            return start(arguments, environment, stdout=out, stderr=out, ended_by=ended_by)

    def submit(self, task, file, *options, output):
        arguments = ("-m", "producer", "submit", task, str(file), "--json", *options)
        with output.open("wb") as out, output.with_suffix(".err").open("wb") as err:
            return start(arguments, self.env, stdout=out, stderr=err)


def patient(url):
    """Return *url* with the patience of a test: the product's own gives a store that is busy up in 0.6 s."""
    return f"{url}{'&' if '?' in url else '?'}socket_timeout=30&socket_connect_timeout=30"


def start(arguments, env, *, stdout, stderr, stdin=None, ended_by="SIGTERM", cwd=ROOT):
    """Start this Python with *arguments*, which are ``-m MODULE ...`` or ``SCRIPT ...``, and open files."""
    read, written = os.pipe()
    with Path(os.devnull).open() as nothing:
        files = [(stdin or nothing).fileno(), stdout.fileno(), stderr.fileno()]
        request = {
            "arguments": list(map(str, arguments)),
            "env": dict(env),
            "ended_by": ended_by,
            "cwd": str(cwd),
        }
        socket.send_fds(_server(), [json.dumps(request).encode()], [written, *files])
    os.close(written)
    return Process(int(_server().recv(100)), arguments, os.fdopen(read, "rb"))


@cache
def _server():
    """Start the process that loads the libraries, once; it ends with this one."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _REQUEST_BYTES)
    command = [sys.executable, "-m", "tests.preloaded", str(its.fileno())]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with its:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, pass_fds=[its.fileno()]
        )
    atexit.register(process.wait)
    atexit.register(ours.close)
    return ours


class Server:
    """Forks the requested programs, and reports how each of them ended."""

    def __init__(self, requests):
        self._requests, self._running = requests, {}
        self._ended, self._wakes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._wakes)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self):
        """Return the request in each started process; exit when the tests have ended."""
        while True:
            readable, _, _ = select([self._requests, self._ended], [], [])
            if self._ended in readable:
                os.read(self._ended, 1000)
                self._report_ends()
            if self._requests in readable:
                data, files, _, _ = socket.recv_fds(self._requests, _REQUEST_BYTES, 4)
                if not data:
                    sys.exit()
                if not (pid := os.fork()):
                    self._leave(files)
                    return json.loads(data)
                status, *others = files
                self._running[pid] = status
                for file in others:
                    os.close(file)
                self._requests.send(str(pid).encode())

    def _report_ends(self):
        for pid, status in list(self._running.items()):
            ended, code = os.waitpid(pid, os.WNOHANG)
            if ended:
                os.write(status, str(os.waitstatus_to_exitcode(code)).encode())
                os.close(self._running.pop(pid))

    def _leave(self, files):
        """Keep of the server's files what the new process was given."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number, file in enumerate(files[1:]):
            os.dup2(file, number)
        for file in (*files, *self._running.values(), self._ended, self._wakes):
            os.close(file)
        self._requests.close()


def become(request):
    """Go on as the interpreter does that was started with these arguments."""
    die_with_parent(signal.Signals[request["ended_by"]])
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    sys.path[:0] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    first, *rest = request["arguments"]
    if first == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = [first, *rest]
        sys.path[0:0] = [str(Path(first).parent)]
        runpy.run_path(first, run_name="__main__")


if __name__ == "__main__":
    die_with_parent(signal.SIGKILL)
    for library in LIBRARIES:
        importlib.import_module(library)
    # What is loaded stays: no started process looks through it for garbage.
    gc.collect()
    gc.freeze()
    become(Server(socket.socket(fileno=int(sys.argv[1]))).serve())
