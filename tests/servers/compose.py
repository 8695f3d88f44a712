"""Runs services of docker-compose.yml as processes of this machine, each as it is written, without an engine.

What compose, ``.env`` and the image give is all that a service gets. Names of services are addresses of one
loopback network of their own. SUITE_IMAGE names the mounted file system of a built image, where there is one.
Needs root, and the programs unshare, nsenter, setpriv and mount.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path

import yaml

from sandbox.machine import ROOT
from sandbox.valkey import _embedded
from tests.deadlines import eventually, stretched
from tests.servers import container

FILE = ROOT / "docker-compose.yml"
IMAGE = (ROOT / "Dockerfile").read_text()
#: The file system of a built image, in place of what is put together from this machine's programs.
SUITE_IMAGE = os.environ.get("SUITE_IMAGE", "")
NEEDED = ("unshare", "nsenter", "setpriv", "mount", "ip", "redis-cli")
#: What the image makes for its user.
_FOLDERS = re.search(r"^RUN install -d -o 10001 -g 10001 (.*)$", IMAGE, re.MULTILINE)[1].split()
_VARIABLE = re.compile(r"\$\$|\$\{([A-Z_]+)(?::([-+])([^}]*))?\}")
_SECONDS = {"s": 1, "m": 60}


def is_possible():
    """Return whether this machine lets this process make file systems and networks of their own."""
    if os.geteuid() != 0 or not all(map(shutil.which, NEEDED)):
        return False
    tried = subprocess.run(["unshare", "--mount", "--net", "true"], check=False, capture_output=True)
    return tried.returncode == 0


def read(environment, file=FILE):
    """Return what *file* says with the variables of *environment* put in, as compose does."""
    return _filled(_parsed(file), environment)


@cache
def _parsed(file):
    return yaml.safe_load(file.read_text())


def _filled(given, environment):
    match given:
        case dict():
            return {name: _filled(value, environment) for name, value in given.items()}
        case list():
            return [_filled(each, environment) for each in given]
        case str():
            return _VARIABLE.sub(lambda found: _value_of(found, environment), given)
    return given


def _value_of(found, environment):
    name, sign, word = found.groups()
    if name is None:
        return "$"
    value = environment.get(name, "")
    if sign == "+":
        return word if value else ""
    return value or (word or "")


def seconds_of(duration):
    """Return the seconds of a duration such as ``1m45s``."""
    return sum(float(number) * _SECONDS[unit] for number, unit in re.findall(r"([\d.]+)([ms])", duration))


class Composed:
    """Services as processes, a context manager. *environment* is what ``.env`` holds.

    *changed* has other words for parts of services, for example ``{"worker": {"user": "1:1"}}``.
    """

    def __init__(self, environment=(), changed=None):
        self._given = {"SECRETS": str(ROOT / "deploy/demo/passwords"), **dict(environment)}
        self.file = read(self._given)
        for name, parts in (changed or {}).items():
            self.file["services"][name] = {**self.file["services"][name], **parts}
        self._stack, self._running = ExitStack(), []

    def __enter__(self):
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="askonce-compose-")))
        self.folder.chmod(0o755)
        holder = [
            "unshare",
            "--net",
            "setpriv",
            "--pdeathsig",
            "KILL",
            "sh",
            "-c",
            "ip link set lo up && echo up && cat",
        ]
        self._network = subprocess.Popen(holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._stack.callback(self._end_network)
        # Before that it is in this machine's own network, and so would be who enters there.
        assert b"up\n" == self._network.stdout.readline()
        self._stack.callback(self._end_services)
        programs = self.folder / "programs"
        programs.mkdir()
        (programs / "valkey-server").symlink_to(_embedded())
        (programs / "valkey-cli").symlink_to(shutil.which("redis-cli"))
        return self

    def __exit__(self, *_):
        self._stack.close()

    def start(self, *names):
        """Start services; return the last one."""
        for name in names:
            self._running.append(Service(self, name))
        return self._running[-1]

    def run(self, name, *command):
        """Run *command* as ``docker compose run --rm NAME COMMAND`` does; return what it said."""
        done = Service(self, name, command=command)
        self._running.append(done)
        done.process.wait(stretched(120))
        return done

    def started(self, words, log):
        """Start *words* in the network of the services."""
        network = f"--net=/proc/{self._network.pid}/ns/net"
        apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child=KILL"]
        with log.open("ab") as out:
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "nsenter", network, *apart, *words],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd="/",
            )

    def spec_of(self, name, command):
        """Return what a container of *name* is made of."""
        service = self.file["services"][name]
        is_ours = service["image"].startswith("askonce:")
        root = Path(tempfile.mkdtemp(dir=self.folder, prefix=f"{name}-"))
        return {
            "root": str(root),
            "image": SUITE_IMAGE if is_ours else "",
            "ready": str(root.with_suffix(".ready")),
            "programs": sorted(
                {sys.prefix, sys.base_prefix, str(Path(_embedded()).parent), str(self.folder / "programs")}
            ),
            "hosts": sorted(name for name in self.file["services"] if self._is_up(name)),
            "copied": [[str(ROOT / source), f"app/{source}"] for source in _copied()] if is_ours else [],
            "folders": [[10001, folder] for folder in _FOLDERS] if is_ours else [[0, "/app"]],
            "tmpfs": service["tmpfs"],
            "mounts": [*self._volumes_of(service), *self._secrets_of(service)],
            "user": service["user"],
            "folder": "/app",
            "command": command,
            "environment": self._environment_of(service),
        }

    def _is_up(self, name):
        """Return whether compose starts the service, so that its name has an address."""
        profiles = self.file["services"][name].get("profiles", [])
        return not profiles or any(
            each in self._given.get("COMPOSE_PROFILES", "").split(",") for each in profiles
        )

    def _environment_of(self, service):
        declared = service.get("environment", {})
        given = {
            name: self._given[name]
            for name, value in declared.items()
            if value is None and name in self._given
        }
        given |= {name: str(value) for name, value in declared.items() if value is not None}
        image = dict(re.findall(r"([A-Z]+)=(\d+)", IMAGE.partition("ENV ")[2].partition("\n")[0]))
        of_machine = f"{sys.prefix}/bin:{self.folder}/programs:/usr/bin:/bin"
        is_image = SUITE_IMAGE and service["image"].startswith("askonce:")
        path = "/usr/local/bin:/usr/bin:/bin" if is_image else of_machine
        return {"PATH": path, "HOME": "/", "HOSTNAME": "localhost", **image, **given}

    def _volumes_of(self, service):
        for volume in service.get("volumes", ()):
            source, target, *mode = volume.split(":")
            if source.startswith((".", "/")):
                path = (ROOT / source).resolve()
            else:
                path = self.folder / f"volume-{source}"
                path.mkdir(exist_ok=True)
                # A new volume has the owner of the image's folder.
                owner = int(service["user"].partition(":")[0])
                os.chown(path, owner, owner)
            if path.exists():
                yield {"source": str(path), "target": target, "writable": "ro" not in mode}

    def _secrets_of(self, service):
        for name in service.get("secrets", ()):
            source = self.file["secrets"][name]["file"]
            path = Path(source) if source.startswith("/") else ROOT / source
            yield {"source": str(path), "target": f"/run/secrets/{name}", "writable": False}

    def _end_services(self):
        for each in reversed(self._running):
            each.kill()

    def _end_network(self):
        self._network.stdin.close()
        self._network.stdout.close()
        self._network.wait(stretched(10))


def _copied():
    """Return what the image copies from the project."""
    return [source for source, _ in re.findall(r"^COPY (\S+) (\S+)$", IMAGE, re.MULTILINE)]


class Service:
    """One service that runs."""

    def __init__(self, composed, name, *, command=None):
        self._composed, self._written = composed, composed.file["services"][name]
        self.log = composed.folder / f"{name}-{time.monotonic_ns()}.log"
        spec = composed.spec_of(
            name, [*_words(self._written.get("entrypoint")), *(command or _words(self._written["command"]))]
        )
        path = self.log.with_suffix(".json")
        path.write_text(json.dumps(spec))
        self._spec = spec
        self.process = composed.started([sys.executable, "-S", container.__file__, str(path)], self.log)
        ready = Path(spec["ready"])
        eventually(lambda: self.process.poll() is not None or (ready.exists() and ready.read_text()), 60)
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        #: The first process of the container, as this machine numbers it; None where it has ended.
        self._first = next(iter(children.read_text().split()), None)

    @property
    def said(self):
        """What it wrote to stdout and stderr so far."""
        return self.log.read_text(errors="replace")

    def is_healthy(self):
        """Return whether its own health check succeeds, run as its user beside it."""
        kind, *words = self._written["healthcheck"]["test"]
        assert "CMD" == kind
        return self.process.poll() is None and 0 == self.execute(*words).returncode

    def execute(self, *words):
        """Run *words* as ``docker compose exec`` does; return how they ended."""
        target = ["nsenter", "--target", str(self._first), "--mount", "--net", "--pid", "--root"]
        limit = stretched(seconds_of(self._written.get("healthcheck", {}).get("timeout", "10s")))
        return subprocess.run(
            [*target, f"--wdns={self._spec['folder']}", *container.as_user(self._written["user"]), *words],
            check=False,
            env=self._spec["environment"],
            capture_output=True,
            text=True,
            timeout=limit,
        )

    def until_healthy(self, seconds=60):
        """Wait for its own health check; return the service."""
        assert eventually(lambda: self.is_healthy() or self.process.poll() is not None, seconds), self.said
        assert self.process.poll() is None, self.said
        return self

    def stop(self):
        """End it as ``docker compose stop`` does; return its code, or fail after its grace."""
        os.kill(int(self._first), signal.SIGTERM)
        return self.process.wait(stretched(seconds_of(self._written.get("stop_grace_period", "10s"))))

    def kill(self):
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()


def _words(command):
    return shlex.split(command) if isinstance(command, str) else list(command or ())
