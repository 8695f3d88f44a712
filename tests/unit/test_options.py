from datetime import UTC, datetime, timedelta, timezone

import pytest

from askonce.errors import OptionInvalid
from askonce.job import Routing
from askonce.options import HEADERS_MAX, NAME_MAX, name_of, routing_of, terms_of
from askonce.spec import JobSpec

NOW = 1_800_000_000.0
NOON = datetime.fromtimestamp(NOW, UTC)
SPEC = JobSpec(name="rates.fetch", queue_deadline=60.0)


def terms(**options):
    return terms_of(SPEC, options, ">", NOW)


def read(**options):
    """Read every option, as a producer does."""
    for name in ("tenant", "run"):
        name_of(name, options.get(name, ""))
    return terms(**options), routing_of(options)


def test_call_without_options_has_the_terms_of_its_spec():
    found, routing = read()

    assert (60.0, 3, None, 0.0, (), False, None) == (
        found.queue_deadline,
        found.max_attempts,
        found.expires,
        found.countdown,
        found.chosen,
        found.force,
        found.max_age,
    )
    assert Routing() == routing


def test_routing_takes_every_option():
    headers = {"trace": "é", "nested": {"b": 1, "a": None}}

    routing = routing_of(
        {"queue": "slow", "priority": 0, "time_limit": 75, "soft_time_limit": 60.5, "headers": headers}
    )

    assert Routing("slow", 0, 75.0, 60.5, '{"nested":{"a":null,"b":1},"trace":"é"}') == routing


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        ({"queue": "slow"}, ("queue",)),
        ({"headers": {"a": 1}}, ("headers",)),
        ({"time_limit": 9}, ("limits",)),
        ({"soft_time_limit": 9}, ("limits",)),
        ({"priority": 0}, ("priority>",)),
        ({"queue": None, "headers": None, "priority": None}, ()),
        ({"expires": 9.0, "countdown": 3.0, "tenant": "acme", "run": "night"}, ()),
    ],
)
def test_terms_name_what_the_caller_chose(options, chosen):
    assert chosen == terms(**options).chosen


def test_broker_whose_lowest_number_is_first_is_named():
    assert ("priority<",) == terms_of(SPEC, {"priority": 3}, "<", NOW).chosen


@pytest.mark.parametrize("expires", [90, 90.0, NOON + timedelta(seconds=90)])
def test_expiry_is_a_duration(expires):
    assert 90.0 == terms(expires=expires).expires


@pytest.mark.parametrize(
    ("options", "countdown"),
    [
        ({"countdown": 90}, 90.0),
        ({"countdown": 0}, 0.0),
        ({"eta": NOON + timedelta(seconds=90)}, 90.0),
        ({"eta": (NOON + timedelta(seconds=90)).astimezone(timezone(timedelta(hours=-3)))}, 90.0),
        ({"eta": NOON - timedelta(days=1)}, 0.0),
    ],
)
def test_start_is_a_duration(options, countdown):
    assert countdown == terms(**options).countdown


def test_other_options_reach_the_terms():
    found = terms(force=True, max_age=0, on_duplicate="reject", job="job-1")

    assert (True, 0.0) == (found.force, found.max_age)


_NO_DURATIONS = [float("nan"), float("inf"), -1, -0.001, 366 * 86_400, 10**400, True, "9", b"9", timedelta(1)]
REFUSED = [
    *(({name: seconds}, name) for name in ("expires", "countdown", "max_age") for seconds in _NO_DURATIONS),
    *(({name: seconds}, name) for name in ("time_limit", "soft_time_limit") for seconds in _NO_DURATIONS),
    *(({name: 0}, name) for name in ("expires", "time_limit", "soft_time_limit")),
    ({"expires": NOON.replace(tzinfo=None)}, "expires"),
    ({"expires": NOON}, "expires"),
    ({"expires": NOON - timedelta(seconds=1)}, "expires"),
    ({"eta": NOON.replace(tzinfo=None)}, "eta"),
    ({"eta": NOON + timedelta(days=366)}, "eta"),
    ({"eta": 90.0}, "eta"),
    ({"eta": NOON, "countdown": 0}, "eta"),
    ({"countdown": NOON}, "countdown"),
    ({"countdown": 90, "expires": 30}, "expires"),
    ({"countdown": 90, "expires": 90}, "expires"),
    ({"eta": NOON + timedelta(seconds=90), "expires": NOON + timedelta(seconds=30)}, "expires"),
    *(({"priority": number}, "priority") for number in (-1, 256, 1.0, True, "3")),
    *(({name: "x" * (NAME_MAX + 1)}, name) for name in ("queue", "tenant", "run")),
    *(
        ({name: text}, name)
        for name in ("queue", "tenant", "run")
        for text in ("a\nb", "\x00", "a\u2028b", 7)
    ),
    ({"headers": {"askonce": {}}}, "headers"),
    ({"headers": {"a": "x" * HEADERS_MAX}}, "headers"),
    ({"headers": ["a"]}, "headers"),
    ({"headers": "a"}, "headers"),
    ({"headers": {"a": float("nan")}}, "headers.a"),
    ({"headers": {"a": {"b": object()}}}, "headers.a.b"),
    ({"on_duplicate": "rejct"}, "on_duplicate"),
    ({"countdwon": 9}, "countdwon"),
    ({"link": None}, "link"),
]


@pytest.mark.parametrize(("options", "name"), REFUSED, ids=range(len(REFUSED)))
def test_option_that_cannot_be_honoured_is_refused_by_name(options, name):
    with pytest.raises(OptionInvalid) as caught:
        read(**options)

    assert name == caught.value.option


def test_refusal_shows_nothing_of_the_headers():
    with pytest.raises(OptionInvalid) as caught:
        routing_of({"headers": {"a": "hunter2" * HEADERS_MAX}})

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "x" * NAME_MAX, "é ü", "a:b/c"])
def test_printable_line_is_a_name(text):
    assert text == name_of("queue", text)


def test_headers_up_to_their_limit_are_taken():
    text = "x" * (HEADERS_MAX - len('{"a":""}'))

    assert HEADERS_MAX == len(routing_of({"headers": {"a": text}}).headers)
