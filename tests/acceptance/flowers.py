"""A Flower beside a machine's workers, as deploy/flower configures it, and what it answers."""

import json
from base64 import b64encode
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from sandbox.machine import wait_for
from sandbox.server import free_port
from sandbox.valkey import Valkey
from tests.deadlines import stretched

DEPLOY = Path(__file__).parents[2] / "deploy"
USER, PASSWORD = "ana", "geheim-4712"
#: What the page of tasks asks its server for.
TABLE = {"draw": 1, "start": 0, "length": 50, "order[0][column]": 0, "columns[0][data]": "name"}


@dataclass
class Place:
    """A broker: the environments of a role, and what Flower has to be told."""

    scheme: str
    queue: str
    roles: dict[str, dict[str, str]]
    options: tuple[str, ...] = ()
    secrets: list[str] = field(default_factory=list)


@contextmanager
def on_redis_with_users(folder, *_):
    users = folder / "users.acl"
    users.write_text("".join(path.read_text() for path in sorted((DEPLOY / "acl").glob("*.acl"))))
    with Valkey(tcp=True, options=f'aclfile "{users}"') as server:
        roles = {}
        for role in ("producer", "worker", "flower"):
            url = f"redis://{role}:change-me-{role}@127.0.0.1:{server.port}/0"
            roles[role] = {"REDIS_URL": url, "CELERY_BROKER_URL": url}
        yield Place("redis", "askonce", roles, secrets=["change-me"])


class Flower:
    """One Flower; every request brings the login."""

    def __init__(self, place, machine):
        self.place, self.machine, self.port = place, machine, free_port()
        self.address = f"http://127.0.0.1:{self.port}"

    def start(self):
        folder = self.machine.folder
        login, log = folder / "flower.login", folder / "flower.log"
        login.write_text(f"{USER}:{PASSWORD}\n")
        own = {"FLOWER_LOGIN_FILE": str(login), "FLOWER_DB": str(folder / "flower.state")}
        options = [f"--conf={DEPLOY / 'flower' / 'flowerconfig.py'}", f"--port={self.port}"]
        command = ("-m", "celery", "-A", "worker.app", "flower", *options, *self.place.options)
        env = {**self.place.roles["flower"], **own}
        known = log.stat().st_size if log.exists() else 0
        self.process = self.machine.spawn(*command, log=log, env=env)
        self.machine.workers.append(self.process)
        wait_for(lambda: b"Connected to" in log.read_bytes()[known:], self.process, log)

    def get(self, page):
        return self.ask(page)[1]

    def ask(self, page, method="GET", login=f"{USER}:{PASSWORD}"):
        """Return the status and the text that a request gets."""
        headers = {"Authorization": f"Basic {b64encode(login.encode()).decode()}"} if login else {}
        request = Request(f"{self.address}/{page}", headers=headers, method=method)
        try:
            with urlopen(request, timeout=stretched(60)) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode()

    def tasks(self, search=""):
        """Return the rows of the page of tasks that a *search* finds."""
        query = {**TABLE, "search[value]": search}
        return json.loads(self.get(f"tasks/datatable?{urlencode(query)}"))["data"]
