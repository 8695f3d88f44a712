"""What tags a payload has, and how they travel."""

from dataclasses import replace

import pytest

from askonce import JobSpec
from askonce.adapters.redis.reply import Brought
from askonce.errors import PayloadInvalid
from askonce.job import JobId, Routing
from askonce.key import identify
from askonce.spec import MOST_TAGS, TAG_KEPT

MARKER = "a payload's secret"
SPEC = JobSpec(name="orders.enrich", tags=lambda row: [f"customer-{row['customer']}", *row.get("more", ())])


def tags_of(**payload):
    return identify(SPEC, {"customer": 7, "note": MARKER, **payload}).tags


def refused(**payload):
    with pytest.raises(PayloadInvalid) as caught:
        tags_of(**payload)
    assert MARKER not in str(caught.value)
    return caught.value.field, caught.value.reason


def test_payload_has_the_tags_that_its_task_finds_each_once():
    assert tags_of() == ("customer-7",)
    assert tags_of(more=["red", "customer-7", "blue"]) == ("customer-7", "red", "blue")
    assert identify(JobSpec(name="orders.enrich"), {"customer": 7}).tags == ()


def test_tags_are_no_part_of_the_key():
    plain, tagged = (identify(spec, {"customer": 7}) for spec in (replace(SPEC, tags=None), SPEC))

    assert (plain.key, plain.fingerprint) == (tagged.key, tagged.fingerprint)


def test_tags_are_read_after_the_input():
    spec = replace(SPEC, input=lambda row: {"customer": int(row["Customer"])})

    assert identify(spec, {"Customer": " 7 "}).tags == ("customer-7",)


def test_tags_at_their_limits_are_taken():
    most = [f"{number:0{TAG_KEPT}}" for number in range(MOST_TAGS)]

    assert identify(replace(SPEC, tags=lambda _: most), {"customer": 7}).tags == tuple(most)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ([str(number) for number in range(MOST_TAGS)], f"are {MOST_TAGS + 1}, more than {MOST_TAGS}"),
        (["x" * (TAG_KEPT + 1)], f"must each be one printable line of at most {TAG_KEPT} characters"),
        (["a\nb"], f"must each be one printable line of at most {TAG_KEPT} characters"),
        ([""], "must be texts in a list or a tuple, none of them empty"),
        ([7], "must be texts in a list or a tuple, none of them empty"),
        ([["red"]], "must be texts in a list or a tuple, none of them empty"),
    ],
    ids=["too many", "too long", "two lines", "empty", "a number", "a list"],
)
def test_tags_that_cannot_be_are_refused_by_name(more, reason):
    assert ("tags", reason) == refused(more=more)


def test_one_text_is_no_list_of_its_letters():
    with pytest.raises(PayloadInvalid, match="must be texts in a list or a tuple"):
        identify(replace(SPEC, tags=lambda row: "red"), {"customer": 7})


def test_function_that_fails_names_no_value():
    with pytest.raises(PayloadInvalid) as caught:
        identify(SPEC, {"note": MARKER})

    assert "tags" == caught.value.field
    assert caught.value.reason.startswith("KeyError")


@pytest.mark.parametrize("headers", ["", '{"trace":"t"}'])
@pytest.mark.parametrize("tags", [(), ("red",), ("red", "customer-7")])
def test_tags_come_back_beside_what_a_job_had_before_it_had_tags(tags, headers):
    brought = Brought("acme", "small", "2", Routing("slow", 3, headers=headers), tags, 5)

    assert brought == Brought.decode(f"3\n60000\n5\n0\n{brought.encode()}".encode())


def test_tags_go_with_the_job_under_another_id_and_queue():
    job = identify(SPEC, {"customer": 7})

    assert ("customer-7",) == job.under(JobId("j")).tags == job.sent_by(Routing("slow")).tags
