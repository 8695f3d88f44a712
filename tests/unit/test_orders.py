from dataclasses import replace
from types import SimpleNamespace

import pytest

from askonce.answer import Answer, Result
from askonce.attempt import Attempt, run
from askonce.errors import Configuration, Permanent, StoreUnavailable, Transient
from askonce.spec import JobSpec, RetryPolicy
from askonce.spend import NOTHING, Spend, total
from tasks.lookups.body import lookup
from tasks.orders import body as orders
from tasks.orders.body import UNKNOWN
from tasks.providers.customers import Customers, Found

ORDER = {"order_id": "o-1", "cliente_id": 7, "total": 10.5}
#: A call of a service that names no price.
CALL = Spend()
ANA = {"cliente_id": "7", "cliente_nome": "Ana Souza"}


class Service:
    """A look-up service that answers, or fails with the errors it is given."""

    def __init__(self):
        self.asked, self.errors = [], []

    def fetch(self, *segments):
        self.asked.append(segments)
        if self.errors:
            raise self.errors.pop(0)
        return ANA


class Known:
    """The resources of an order: one known customer, or none, and what the look-up paid."""

    def __init__(self, value, source="call", paid=CALL, reason=""):
        self.customers, self._paid, self._reason = self, paid, reason
        self._found = value and Result(
            key="k",
            job="j",
            value=value,
            source=source,
            age=0.0,
            attempts=1,
            fence=1,
            spend=Spend(),
            stored_at=0.0,
        )

    def get(self, _cliente_id, tenant, earlier):
        self.tenant = tenant
        return Found(self._found, total([earlier, self._paid]), self._reason)


def enrich(payload, resources, earlier=NOTHING, tenant=""):
    """Run the body as an attempt, after earlier ones that cost so much."""
    kept = {"key": "k", "job": "j", "fence": 1, "stale": None, "reference": "", "checkpoint": print}
    attempt = Attempt(number=1, spent=earlier, tenant=tenant, **kept)
    return run(lambda: orders.enrich(payload, resources), attempt)


@pytest.fixture
def service():
    return Service()


@pytest.fixture
def customers(scene, service):
    spec = JobSpec(
        name="customers.lookup",
        key_fields=("cliente_id",),
        soft_ttl=300.0,
        hard_ttl=600.0,
        retry=RetryPolicy(max_attempts=1, base=5.0, on_give_up="backoff"),
    )
    scene.use(scene.store, spec)
    return Customers(scene.caller, service, spec)


@pytest.mark.parametrize("source", ["call", "cache"])
def test_known_customer_is_found_without_the_order(source):
    answer = enrich(ORDER, Known(ANA, source))

    value = {"cliente_nome": "Ana Souza", "cliente": ANA, "cliente_fonte": "api"}
    assert answer == Answer(value=value, paid=NOTHING, caused=CALL)


def test_last_known_customer_is_marked_in_answer_and_source():
    answer = enrich(ORDER, Known(ANA, "stale"))

    assert answer.source == "stale"
    assert (answer.value["cliente_nome"], answer.value["cliente_fonte"]) == ("Ana Souza", "stale")


def test_unknown_customer_is_marked_as_unknown():
    answer = enrich(ORDER, Known(None, reason="not_found"))

    value = {"cliente_nome": "Desconhecido", "cliente_fonte": "default"}
    assert answer == Answer(value=value, source="default", reason="not_found", paid=NOTHING, caused=CALL)


def test_customer_without_a_name_is_unknown_by_name_only():
    answer = enrich(ORDER, Known({"cliente_id": "7"}))

    assert (answer.value["cliente_nome"], answer.source) == (UNKNOWN, "call")


def test_order_itself_is_left_alone():
    order = dict(ORDER)

    enrich(order, Known(ANA))

    assert order == ORDER


def test_order_of_a_tenant_looks_its_own_customer_up():
    known = Known(ANA)

    enrich(ORDER, known, tenant="acme")

    assert "acme" == known.tenant


def test_tenants_share_no_look_up(customers, service):
    found = [customers.get(7, tenant) for tenant in ("", "acme", "acme")]

    assert [("customers", "7")] * 2 == service.asked
    assert 2 == len({each.customer.key for each in found})


def test_lookup_returns_what_the_service_knows(customers, service):
    assert lookup({"cliente_id": 7}, SimpleNamespace(customers=customers)) == ANA
    assert service.asked == [("customers", "7")]


def test_customer_is_looked_up_once_for_many_orders(customers, service):
    found = [customers.get(7) for _ in range(5)]

    assert [each.customer.value for each in found] == [ANA] * 5
    assert service.asked == [("customers", "7")]
    assert [each.paid for each in found] == [CALL, *[NOTHING] * 4], "who called pays"


def test_number_and_text_name_the_same_customer(customers, service):
    assert customers.get(7).customer.key == customers.get("7").customer.key
    assert len(service.asked) == 1


def test_customer_is_looked_up_again_when_the_answer_is_old(scene, customers, service):
    customers.get(7)
    scene.clock.advance(300)
    customers.get(7)

    assert len(service.asked) == 2


@pytest.mark.parametrize("error", [Permanent("http_404"), Transient("http_503")])
def test_customer_that_can_not_be_looked_up_is_none(customers, service, error):
    service.errors = [error]

    assert (None, error.reason) == (customers.get(7).customer, customers.get(7).reason)


def test_last_known_customer_is_served_while_the_service_fails(scene, customers, service):
    customers.get(7)
    scene.clock.advance(300)
    service.errors = [Transient("http_503")]

    found = customers.get(7)

    assert (found.customer.value, found.customer.source, found.reason) == (ANA, "stale", "http_503")


def test_failing_service_is_left_alone_for_a_time(customers, service):
    service.errors = [Transient("http_503")]
    customers.get(7)

    assert customers.get(7) == (None, NOTHING, "http_503")
    assert len(service.asked) == 1


def test_refused_credentials_reach_the_operator(customers, service):
    service.errors = [Configuration("http_401")]

    with pytest.raises(Configuration, match="http_401"):
        customers.get(7)


def test_silent_store_is_transient_and_makes_no_call(scene, customers, service):
    scene.fail_on("admit")
    silent = Customers(replace(scene.caller), service, scene.spec)

    with pytest.raises(Transient, match="store_unavailable") as caught:
        silent.get(7)

    assert service.asked == []
    assert not isinstance(caught.value.__cause__, StoreUnavailable)


def test_order_whose_customer_was_known_caused_no_call():
    answer = enrich(ORDER, Known(ANA, paid=NOTHING))

    assert (answer.calls, answer.cost_usd, answer.caused) == (1, None, NOTHING)


def test_order_caused_the_calls_of_all_its_attempts():
    answer = enrich(ORDER, Known(ANA), earlier=Spend(calls=2))

    assert answer.caused == Spend(calls=3)


@pytest.mark.parametrize(
    ("error", "paid"),
    [
        (Transient("http_503"), NOTHING),
        (Transient("timeout", maybe_billed=True), CALL),
        (Permanent("malformed_answer", usage={}), CALL),
    ],
)
def test_lookup_without_an_answer_costs_the_calls_that_may_be_paid(customers, service, error, paid):
    service.errors = [error]

    assert customers.get(7) == (None, paid, error.reason)


def test_order_that_fails_after_a_paid_lookup_says_what_it_cost(customers, service):
    service.errors = [Configuration("no_credit", usage={"n": 1})]

    with pytest.raises(Configuration) as caught:
        customers.get(7)

    data = caught.value.data
    assert (data["calls"], data["cost_usd"], data["paid"]) == (1, None, NOTHING)


def test_order_that_fails_says_also_what_its_earlier_attempts_cost(customers, service):
    service.errors = [Configuration("no_credit", usage={"n": 1})]

    with pytest.raises(Configuration) as caught:
        customers.get(7, earlier=Spend(calls=2, usage={"n": 5}))

    assert (3, {"n": 6}) == (caught.value.data["calls"], caught.value.data["usage"])
