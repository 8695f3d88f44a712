"""What each way of watching says of a run: the ledger of the stand-in is the judge."""

import json
import re
from collections import Counter
from typing import NamedTuple
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from sandbox.machine import wait_for
from sandbox.outside.openai_wire import PRICE
from sandbox.server import free_port
from tests import preloaded
from tests.deadlines import stretched

TASK = "meetings.extract"
#: A line of the log for each answer that a call gave; the cost is that of this attempt.
_LOGGED = re.compile(r"job\.done .*key=(\w{16}) .*cost_usd=([\d.]+)")
_KEY = re.compile(r"'key': '(\w+)'")
_COST = re.compile(r"'cost_usd': ([\d.e-]+|None)")


class Said(NamedTuple):
    """What one of them says."""

    calls: int
    micro_usd: int
    #: Runs of which it is unknown whether they were paid; None where it cannot know.
    in_doubt: int | None
    duplicates: int | None


class Watched:
    """A scene with a Flower, and a producer that submits a file and writes its answers."""

    def __init__(self, scene, eventually):
        self.scene, self.machine, self.eventually = scene, scene.machine, eventually
        self.port, self.folder = free_port(), scene.machine.folder
        self.output, self.names = self.folder / "answers.jsonl", []

    def start_worker(self, name, *options):
        self.names.append(name)
        return self.machine.start_worker("-P", "threads", "-c", "16", *options, name=name)

    def start_flower(self):
        log = self.folder / "flower.log"
        command = ("-m", "celery", "-A", "worker.app", "flower", "--address=127.0.0.1", f"--port={self.port}")
        env = {"FLOWER_UNAUTHENTICATED_API": "true"}
        flower = self.machine.spawn(*command, log=log, ended_by="SIGKILL", env=env)
        self.machine.workers.append(flower)
        wait_for(lambda: b"Connected to" in log.read_bytes(), flower, log)
        self.eventually(lambda: b"flower_worker_online{" in self.get("metrics"), 60)

    def submit(self, rows):
        """Submit *rows* and wait for their answers, in a process of its own."""
        file = self.folder / "rows.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        arguments = ["submit", TASK, file, "--wait", "--out", self.output]
        return self.start("-m", "producer", *arguments, log="producer.log")

    def start(self, *arguments, log):
        with (self.folder / log).open("wb") as out:
            return preloaded.start(arguments, self.machine.env, stdout=out, stderr=out)

    def said_by(self, *arguments):
        """Return the lines that a program of the project writes; it may find that a busy server is away."""
        self.eventually(lambda: self._say(arguments) == 0, 60)
        return (self.folder / "said").read_text()

    def _say(self, arguments):
        with (self.folder / "said").open("wb") as out, (self.folder / "said.err").open("wb") as err:
            return preloaded.start(arguments, self.machine.env, stdout=out, stderr=err).wait(stretched(60))

    def get(self, path):
        with urlopen(f"http://127.0.0.1:{self.port}/{path}", timeout=stretched(30)) as answer:
            return answer.read()

    def is_running_jobs(self, pid):
        """Return whether the process has the lease of a job."""
        with Redis.from_url(self.scene.records.url) as client:
            keys = [name.decode().rpartition(":")[2] for name in client.keys("*:rec:*")]
        running = (record for record in self.scene.store.read(keys) if record.flight == "running")
        return any(record.owner.split(":")[1] == str(pid) for record in running)

    def booked(self):
        """Calls and their cost, as the store has them now."""
        sums = Counter()
        for counter, amount in self.scene.store.tally.totals().items():
            sums[counter.what] += amount
        return sums["calls"], sums["micro_usd"]

    def ledger(self):
        """The calls whose answers came to a worker, as the provider noted them."""
        lines = (self.folder / "ledger" / "openai.jsonl").read_text().splitlines()
        paid = [line for line in map(json.loads, lines) if line.get("status") == 200 and line["delivered"]]
        return Said(len(paid), round(sum(map(_price, paid))), None, None)

    def cost(self):
        *_, total = map(json.loads, self.said_by("-m", "producer", "cost", "--json").splitlines())
        return Said(total["calls"], total["known_micro_usd"], total["in_doubt"], None)

    def metrics(self):
        text = self.said_by("-m", "worker", "metrics")
        sums = Counter()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                sums[sample.name, sample.labels.get("place", "")] += sample.value
        return Said(
            round(sums["askonce_calls_total", ""]),
            round(sums["askonce_cost_usd_total", ""] * 1e6),
            round(sums["askonce_in_doubt", ""]),
            round(sums["askonce_duplicates_total", "flight"] + sums["askonce_duplicates_total", "record"]),
        )

    def logged(self):
        """The cost of each attempt that gave an answer, by the first digits of its key."""
        found = {}
        for name in self.names:
            for key, cost in _LOGGED.findall(self.scene.log(name)):
                found.setdefault(key, []).append(_micro(cost))
        return found

    def logs(self):
        costs = [cost for of_key in self.logged().values() for cost in of_key]
        return Said(len(costs), sum(costs), None, None)

    def flower(self):
        """Each task's last result: a copy of a message that comes later shows what the kept answer cost."""
        tasks = json.loads(self.get("api/tasks?limit=10000")).values()
        shown = [str(task["result"]) for task in tasks if task["name"] == TASK and task["state"] == "SUCCESS"]
        costs = {_KEY.search(result)[1][:16]: _COST.search(result)[1] for result in shown}
        known = {key: None if cost == "None" else _micro(cost) for key, cost in costs.items()}
        return self._of_jobs(known, None)

    def file(self):
        rows = [json.loads(line) for line in self.output.read_text().splitlines()]
        own = [row for row in rows if row["source"] == "call" and row["asked"] == "admitted"]
        assert {"done"} == {row["status"] for row in rows}
        costs = {row["key"][:16]: None if row["cost_usd"] is None else _micro(row["cost_usd"]) for row in own}
        return self._of_jobs(costs, len(rows) - len(own))

    def _of_jobs(self, costs, duplicates):
        """Add up what jobs cost: that of one with a lost run is unknown, so its last attempt is the log's."""
        logged = self.logged()
        unknown = [key for key, cost in costs.items() if cost is None]
        micro_usd = sum(filter(None, costs.values())) + sum(sum(logged[key]) for key in unknown)
        return Said(len(costs), micro_usd, len(unknown), duplicates)

    def table(self):
        """Return what each of them says, the judge first."""
        ways = (self.ledger, self.cost, self.metrics, self.flower, self.logs, self.file)
        return {way.__name__: way() for way in ways}


def shown(table):
    """Return the table for people."""
    lines = [f"{'':10}{'calls':>8}{'micro_usd':>12}{'in_doubt':>10}{'duplicates':>12}"]
    for way, said in table.items():
        calls, micro_usd, *more = ("" if each is None else each for each in said)
        lines.append(f"{way:10}{calls:>8}{micro_usd:>12}{more[0]:>10}{more[1]:>12}")
    return "\n".join(lines)


def disagreeing(table):
    """Return who says another sum than the ledger."""
    ledger = table["ledger"]
    return {way for way, said in table.items() if said[:2] != ledger[:2]}


def _price(call):
    return call["input_tokens"] * PRICE["input"] + call["output_tokens"] * PRICE["output"]


def _micro(cost_usd):
    return round(float(cost_usd) * 1e6)
