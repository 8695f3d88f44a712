import pytest

from askonce.adapters.memory import MemoryStore
from askonce.controls import Pause
from askonce.errors import StoreUnavailable
from askonce.pace.away import Away, away
from askonce.pace.state import Rest, State
from producer.run.watch import Watch
from settings.environment import Settings
from tasks.catalog import catalog
from tasks.providers.openai.pace import subject_of
from tasks.reasons import cure_of

NOW = 1_800_000_000.0
SUBJECT = "llm.test gpt-6-luna"


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def boards(store):
    return store.boards


@pytest.fixture
def put(boards):
    """Put the state of a provider that is away on the board of this name."""

    def put(name="a", subject=SUBJECT, at=NOW, **rest):
        fields = {"until": NOW + 5, "since": NOW - 12, "reason": "invalid_key", "probing": True, **rest}
        state = State(subject=subject, limit=4.0, at=at, rest=Rest(**fields))
        seen = boards.exchange(name, "m", b"", 1.0)
        assert boards.propose(name, seen.version, state.encode())

    return put


def test_provider_that_is_away_is_listed_with_its_time(boards, put):
    put(configuration=True)

    assert [Away(SUBJECT, "invalid_key", 12.0, configuration=True)] == away(boards, NOW)


def test_provider_that_takes_calls_is_not_listed(boards, put):
    put(probing=False)
    boards.propose("b", 0, State(subject="b m", limit=4.0, at=NOW).encode())

    assert [] == away(boards, NOW)


def test_provider_is_listed_once_for_each_reason(boards, put):
    put("a", since=NOW - 3)
    put("b", since=NOW - 40)
    put("c", reason="answers_unusable")

    assert [("answers_unusable", 12.0), ("invalid_key", 40.0)] == [each[1:3] for each in away(boards, NOW)]


def test_board_that_nobody_follows_any_more_is_not_listed(boards, put):
    put("old key", at=NOW - 200, until=NOW - 121)
    put("long wish", at=NOW - 3000, until=NOW + 500, reason="rate_limited")

    assert ["rate_limited"] == [each.reason for each in away(boards, NOW)]


def test_time_is_not_negative_where_the_stores_clock_is_ahead(boards, put):
    put(at=NOW + 30, since=NOW + 20)

    assert [10.0] == [each.seconds for each in away(boards, NOW)]


def test_board_that_holds_something_else_stops_nothing(boards, put):
    boards.propose("junk", 0, b"[1")
    put()

    assert 1 == len(away(boards, NOW))


class Shown:
    """What a person sees of a run that waits."""

    def __init__(self):
        self.notes, self.waits = [], None

    def note(self, line):
        self.notes.append(line)

    def wait(self, why, seconds):
        self.waits = why, seconds

    def go_on(self):
        self.waits = None


@pytest.fixture
def shown():
    return Shown()


def watch(store, shown, *pauses, model="gpt-6-luna"):
    return Watch(store, frozenset(pauses), model, shown)


def test_person_is_told_once_for_each_provider_and_reason(store, put, shown):
    watched = watch(store, shown)
    put("a")
    put("b")
    watched.look(NOW)
    watched.look(NOW + 2)
    put("b", reason="no_credit")
    watched.look(NOW + 4)

    first = f"waiting for {SUBJECT}: invalid_key, since 12 s: {cure_of('invalid_key')}"
    second = f"waiting for {SUBJECT}: no_credit, since 16 s: {cure_of('no_credit')}"
    assert [first, second] == shown.notes


def test_wait_is_shown_until_the_provider_is_back(store, boards, put, shown):
    watched = watch(store, shown)
    put()
    watched.look(NOW)
    assert (f"{SUBJECT}: invalid_key", 12.0) == shown.waits

    boards.propose("a", 1, State(subject=SUBJECT, limit=4.0, at=NOW).encode())
    watched.look(NOW + 1)

    assert shown.waits is None


def test_person_is_not_told_of_another_model(store, put, shown):
    put(subject="llm.test gpt-6-sol")

    watch(store, shown).look(NOW)

    assert [] == shown.notes


def test_what_stands_on_a_board_stays_one_line(store, put, shown):
    put(subject="a\nb gpt-6-luna", reason="x\x1b[2J")

    watch(store, shown).look(NOW)

    assert ["waiting for a?b gpt-6-luna: x?[2J, since 12 s"] == shown.notes


def test_person_is_told_of_the_pauses_that_concern_the_run(store, shown):
    store.controls.pause(Pause("tenant", "shop"), "ann: too dear")
    store.controls.pause(Pause("task", "other"), "bob: broken")

    watched = watch(store, shown, Pause("tenant", "shop"), Pause("task", "mine"), model="")
    watched.look(NOW)
    store.controls.resume(Pause("tenant", "shop"))

    assert ["waiting for a pause of tenant shop: ann: too dear"] == shown.notes
    assert ("a pause of tenant shop", 0.0) == shown.waits
    watched.look(NOW + 1)
    assert shown.waits is None


class Down:
    """A store that does not answer."""

    class controls:  # noqa: N801  # as the store has it
        @staticmethod
        def pauses():
            raise StoreUnavailable(verb="read", reason="timeout")


def test_store_that_is_down_is_no_word_of_the_provider(shown):
    watch(Down(), shown).look(NOW)

    assert [] == shown.notes


def test_task_without_a_model_reads_no_board(store, put, shown):
    put(subject=f"{SUBJECT} ")
    store.boards = None

    watch(store, shown, model="").look(NOW)

    assert [] == shown.notes


def test_subject_ends_with_the_model_of_its_tasks():
    settings = Settings(_env_file=None, openai_base_url="http://llm.test:8080/v1", openai_model="org/m")

    models = {spec.model for spec in catalog(settings).values() if spec.model}

    assert {"org/m"} == models
    assert subject_of(settings) == "llm.test:8080 org/m"
