import pytest

from askonce.errors import PayloadInvalid
from tasks.catalog import CustomerPayload, MeetingPayload, OrderPayload
from tasks.payloads import accepts

MARKER = "hunter2-of-ana-souza"

ORDER = {"order_id": "o-1", "cliente_id": 7}
CUSTOMER = {"cliente_id": "c-7"}
MEETING = {"meeting_id": "m-1", "transcript": "Ana: bom dia."}

KINDS = {
    "order": (OrderPayload, ORDER),
    "customer": (CustomerPayload, CUSTOMER),
    "meeting": (MeetingPayload, MEETING),
}


@pytest.mark.parametrize(("model", "payload"), KINDS.values(), ids=KINDS)
def test_complete_payload_is_accepted(model, payload):
    assert accepts(model)(payload) is None


@pytest.mark.parametrize(("model", "payload"), KINDS.values(), ids=KINDS)
def test_row_may_have_more_fields_than_a_task_needs(model, payload):
    assert accepts(model)({**payload, "note": [1, {"x": None}]}) is None


MISSING = [(model, payload, name) for model, payload in KINDS.values() for name in payload]


@pytest.mark.parametrize(("model", "payload", "name"), MISSING)
def test_missing_field_is_named(model, payload, name):
    with pytest.raises(PayloadInvalid) as caught:
        accepts(model)({key: value for key, value in payload.items() if key != name})

    assert (caught.value.field, caught.value.reason) == (name, "Field required")


@pytest.mark.parametrize("value", ["", "   ", None, 1.5, True, ["a"], {"a": 1}], ids=repr)
@pytest.mark.parametrize(("model", "payload", "name"), MISSING)
def test_value_of_a_wrong_type_is_refused_by_its_fields_name(model, payload, name, value):
    with pytest.raises(PayloadInvalid) as caught:
        accepts(model)({**payload, name: value})

    assert caught.value.field == name


def test_transcript_is_text():
    with pytest.raises(PayloadInvalid, match="field=transcript"):
        accepts(MeetingPayload)({**MEETING, "transcript": 7})


@pytest.mark.parametrize("name", ["meet_date", "customer_id"])
def test_meeting_may_be_without_date_and_customer(name):
    accepts(MeetingPayload)({**MEETING, name: None})

    with pytest.raises(PayloadInvalid, match=f"field={name}"):
        accepts(MeetingPayload)({**MEETING, name: "  "})


@pytest.mark.parametrize("value", [[MARKER], {"x": MARKER}])
def test_refused_value_is_not_repeated(value):
    with pytest.raises(PayloadInvalid) as caught:
        accepts(OrderPayload)({"order_id": value, "cliente_id": MARKER})

    assert MARKER not in repr(caught.value)
    assert MARKER not in str(caught.value)
    assert caught.value.__suppress_context__
