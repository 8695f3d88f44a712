"""Starts runs on a scene: no process, no file."""

from askonce.rows import BadRow, Row
from producer.client import Client
from producer.run.again import ALL, NONE, Again
from producer.run.ask import Asker
from producer.run.journal import Line
from producer.run.run import Run


class Reports(list):
    """A sink that keeps the reports in the order of their ends."""

    def __init__(self, answered=(), sent=None):
        """*sent* has the group of each row that an earlier start sent."""
        self._answered, self._sent, self.groups = answered, sent or {}, []

    def line_of(self, row):
        return Line(0, failed=False, open=False) if row in self._answered else None

    def group_of(self, row):
        return self._sent.get(row, 0)

    def send(self, rows):
        self.groups.append(list(rows))

    def ended(self, report):
        self.append(report)

    def tick(self):
        pass

    sync = tick


class Start:
    """One start of a run on a scene; workers, where there is a body, do all that was sent."""

    def __init__(self, scene):
        self.scene, self.reports, self.run, self.done = scene, Reports(), None, 0

    def __call__(self, payloads, *, body=None, waits=False, uid="run-1", **words):
        rows = [
            each if isinstance(each, BadRow | Row) else Row(number=n, payload=each)
            for n, each in numbered(payloads)
        ]
        self.begin(body=body, waits=waits, uid=uid, **words).execute(rows)
        return sorted(self.reports, key=lambda report: report.row)

    def begin(self, *, body=None, waits=False, uid="run-1", again=False, options=None, store=None, **words):
        scene = self.scene
        self.reports = Reports(words.pop("answered", ()), words.pop("sent", None))
        asker = Asker(
            client=client_of(scene),
            task=scene.spec.name,
            uid=uid,
            uids=words.pop("uids", {}),
            options={"run": "nightly", **(options or {})},
            again=Again(failed=ALL if again else NONE, not_before=words.pop("not_before", None)),
            patience=words.pop("patience", 0.0),
            now=lambda: float(scene.clock()),
        )
        self.run = Run(
            store=store or scene.store,
            asker=asker,
            name="nightly",
            sink=self.reports,
            key_fields=scene.spec.key_fields,
            waits=waits,
            on_jobs=lambda: self.work(body),
            **words,
        )
        return self.run

    def work(self, body):
        while body and self.done < len(self.scene.sender.sent):
            self.done += 1
            self.scene.work(body, self.done - 1)


def client_of(scene):
    return Client(specs={scene.spec.name: scene.spec}, store=scene.store, producer=scene.producer)


def numbered(payloads):
    return enumerate(payloads, start=1)
