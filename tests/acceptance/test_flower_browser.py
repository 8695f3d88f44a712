"""What a person sees of a night's meetings in Flower, with a browser and the users of deploy/acl."""

import os
import re
import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest

from sandbox.machine import stop
from tests.acceptance.flowers import PASSWORD, USER, Flower, on_redis_with_users
from tests.deadlines import eventually, stretched
from tests.preloaded import Machine

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.browser,
    pytest.mark.redis_broker("chooses its broker itself"),
    pytest.mark.timeout(400),
]

#: In each transcript, and in what the model answers about it.
MARK, NAME = "segredo-4711", "watched@here"
BROWSER = [
    "--no-sandbox",  # needs a user of its own
    "--disable-gpu",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


class Night(Flower):
    """Twenty meetings, ten of them twice in the file, and one that the model's service failed."""

    def begin(self):
        self.machine._extra.update(self.place.roles["worker"])
        self.machine.start_worker("-P", "prefork", "-c", "2", "--hostname", NAME)
        self.start()
        eventually(lambda: "flower_worker_online{" in self.get("metrics"), 60)

    def enrich(self, submit, rows, *options):
        return submit(self.machine, "meetings.extract", rows, *options, **self.place.roles["producer"])

    def states(self, search):
        return [task["state"] for task in self.tasks(search)]


def meeting(number):
    return {
        "meeting_id": f"mtg-{number:03}",
        "meet_date": "2026-03-02",
        "customer_id": f"cus-{number:03}",
        "transcript": f"Marina: {MARK} {number}.\nRui: Bom dia.",
    }


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    with ExitStack() as stack:
        place = stack.enter_context(on_redis_with_users(tmp_path_factory.mktemp("place")))
        night = Night(place, stack.enter_context(Machine(env={"LLM_TIMEOUT": "20"})))
        night.begin()
        yield night


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """The folder of the screenshots."""
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=BROWSER)
        yield browser
        browser.close()


class Person:
    """Somebody with a browser, who is logged in."""

    def __init__(self, chromium, night, pictures, login=(USER, PASSWORD)):
        named = {"username": login[0], "password": login[1]} if login else None
        size = {"width": 1500, "height": 900}
        self._context = chromium.new_context(http_credentials=named, viewport=size)
        self._night, self._pictures = night, pictures
        self.page, self.failed = self._context.new_page(), []
        self.page.set_default_timeout(1000 * stretched(30))
        self.page.on("pageerror", lambda error: self.failed.append(str(error)))
        self.page.on("response", lambda reply: reply.ok or self.failed.append(f"{reply.status} {reply.url}"))
        self.seen = []

    def open(self, path, until=None):
        """Open a page; wait until it shows *until*; return its status."""
        status = self.page.goto(f"{self._night.address}/{path}").status
        if until is not None:
            self.page.get_by_text(until).first.wait_for()
        return status

    def search(self, words, count):
        """Search the page of tasks and return the rows that it shows."""
        self.page.locator("#tasks-table_filter input").fill(words)
        rows = self.page.locator("#tasks-table tbody tr:has(td:nth-child(2))")
        eventually(lambda: rows.count() == count, 30)
        return [row.inner_text() for row in rows.all()]

    def look(self, name):
        """Take a picture of the page, and return all of its text."""
        self.page.screenshot(path=self._pictures / f"{name}.png", full_page=True)
        self.seen.append(self.page.content())
        return re.sub(r"\s+", " ", self.page.locator("body").inner_text())

    def leave(self):
        self._context.close()


@pytest.fixture
def new_person(chromium, night, pictures):
    people = []

    def enter(**how):
        people.append(Person(chromium, night, pictures, **how))
        return people[-1]

    yield enter
    for person in people:
        person.leave()


def test_browser_with_a_wrong_login_sees_nothing(new_person):
    person = new_person(login=(USER, "wrong"))

    assert person.open("tasks") == 401
    assert person.look("login-refused") == "Access denied"


def test_browser_without_a_login_is_asked_for_one(new_person):
    from playwright.sync_api import Error

    # No window asks this browser's person.
    with pytest.raises(Error, match="ERR_INVALID_AUTH_CREDENTIALS"):
        new_person(login=None).open("tasks")


def test_person_finds_each_meeting_of_the_night_and_no_transcript(night, new_person, submit):
    done = night.enrich(submit, [meeting(n) for n in range(10)] * 2, "--wait", "--run", "night")
    assert done.code == 0, done.complaints
    eventually(lambda: night.states("kwargs:run=night") == ["SUCCESS"] * 10, 60)
    person = new_person()

    assert person.open("tasks", "meetings.extract") == 200
    assert len(person.search("kwargs:run=night", 10)) == 10
    person.look("tasks")
    [row] = person.search("kwargs:meeting_id=mtg-007", 1)
    person.look("found")
    assert all(word in row for word in ("meetings.extract", "SUCCESS", "'outcome': 'done', 'source': 'call'"))

    person.page.locator("#tasks-table tbody a[href*='/task/']").first.click()
    person.page.locator(".task-details-card").first.wait_for()
    task = person.look("task")
    assert "'meeting_id': 'mtg-007', 'customer_id': 'cus-007'" in task
    assert re.search(
        r"'outcome': 'done', 'source': 'call', 'cost_usd': 0\.\d+, 'tokens': \d+, 'attempts': 1", task
    )

    person.open("broker", "askonce")
    broker = person.look("broker")
    assert re.search(r"askonce\b.* 0\b", broker)
    person.open("workers", NAME)
    workers = person.look("workers")
    assert re.search(rf"{NAME} Online 0 1\d \d 1\d", workers)
    person.open(f"worker/{NAME}", "Max concurrency")
    worker = person.look("worker")
    assert "prefork:TaskPool Max concurrency 2" in worker

    assert person.failed == []
    assert [] == [word for word in (MARK, "change-me", PASSWORD) if word in "".join(person.seen)]


def test_what_flower_saw_survives_its_restart(night, submit):
    assert night.enrich(submit, [meeting(90)], "--wait").code == 0
    eventually(lambda: night.states("kwargs:meeting_id=mtg-090") == ["SUCCESS"], 60)

    stop(night.process)
    night.start()

    assert night.states("kwargs:meeting_id=mtg-090") == ["SUCCESS"]


def test_failure_ends_with_the_command_that_replays_it(night, new_person, submit):
    night.machine.control(llm_error_rate=1.0)
    failed = night.enrich(submit, [meeting(70)], "--wait")
    night.machine.control(llm_error_rate=0.0)
    [report] = failed.reports
    eventually(lambda: night.states("kwargs:meeting_id=mtg-070") == ["QUARANTINED"], 60)
    person = new_person()

    person.open("tasks", "mtg-070")
    person.search("state:QUARANTINED", 1)
    person.look("quarantined-tasks")
    person.page.locator("#tasks-table tbody a[href*='/task/']").first.click()
    person.page.locator(".task-details-card").first.wait_for()
    task = person.look("quarantined")

    assert "QUARANTINED" in task
    assert f"Then: python -m producer dead replay {report['key']}" in task
    assert MARK not in "".join(person.seen)


def test_job_that_waits_for_its_provider_is_shown_as_parked(night, new_person, submit):
    night.machine.control(llm_credit=False)
    assert night.enrich(submit, [meeting(80)]).code == 0
    eventually(lambda: night.states("kwargs:meeting_id=mtg-080") == ["PARKED"], 60)
    person = new_person()

    person.open("tasks", "mtg-080")
    person.search("kwargs:meeting_id=mtg-080", 1)
    person.look("parked-tasks")
    person.page.locator("#tasks-table tbody a[href*='/task/']").first.click()
    person.page.locator(".task-details-card").first.wait_for()
    task = person.look("parked")
    night.machine.control(llm_credit=True)

    assert re.search(r"no_credit, again in \d+\.\d s\. Add credit to the account", task)
    eventually(lambda: night.states("kwargs:meeting_id=mtg-080") == ["SUCCESS"], 90)
