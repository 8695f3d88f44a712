from copy import copy

import pytest
from celery import chain, group

from askonce.adapters.celery import IdempotentTask
from askonce.claim import Claim, Terms
from askonce.errors import AnswerUnreadable, PayloadInvalid
from askonce.fields import as_id
from askonce.key import identify
from askonce.outcomes import Attached
from askonce.spec import JobSpec
from tests.deadlines import stretched
from tests.jobs import new_header

pytestmark = [
    pytest.mark.integration,
    # Celery's result backend speaks redis-py's older language.
    pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning"),
]

SPEC = JobSpec(
    key_fields=("n",),
    input=lambda row: {"n": as_id(row.get("n"), "n"), "more": row.get("more")},
    present=lambda row, found: {**row, **found},
)


def price_of(n):
    return {"price": int(n) + 1}


@pytest.fixture(scope="module")
def shop(new_shop, tcp_server):
    """An app with a task that uses two fields of its rows, and Celery's own results."""
    prefix = {"global_keyprefix": "rows:"}
    shop = new_shop("rows", result_backend=tcp_server.url, result_backend_transport_options=prefix)

    @shop.app.task(name="price", base=IdempotentTask, spec=SPEC, shared=False, ignore_result=False)
    def price(n, more=1):
        shop.calls.make("price", n, more)
        return {"price": int(n) + int(more)}

    @shop.app.task(name="quiet", base=IdempotentTask, spec=SPEC, shared=False)
    def quiet(n, more=1):
        return price.run(n, more)

    @shop.app.task(name="fields", base=IdempotentTask, spec=JobSpec(), shared=False, typing=False)
    def fields(**row):
        return sorted(row)

    @shop.app.task(name="taxed", shared=False)
    def taxed(row):
        return {**row, "tax": 1}

    def add(name, **terms):
        spec = JobSpec(key_fields=("n",), **terms)
        options = {
            "name": name,
            "base": IdempotentTask,
            "spec": spec,
            "shared": False,
            "ignore_result": False,
        }
        return shop.app.task(**options)(price_of)

    shop.price, shop.quiet, shop.taxed, shop.fields = price, quiet, taxed, fields
    shop.unfit = add("unfit", input=lambda row: {"n": row["n"], "self": 1, "bind": 2})
    shop.unjoined = add("unjoined", input=SPEC.input, present=lambda row, _found: row["secret"])
    shop.grows = add("grows", input=lambda row: {"n": f"{row['n']}0"})
    with shop.worker():
        yield shop


def get(result):
    return result.get(timeout=stretched(20))


def row_of(number, row, **more):
    return {"n": number, "row": row, **more}


def priced(number, row):
    return {"n": number, "row": row, "price": number + 1}


def test_row_may_have_more_fields_than_the_task_takes(shop, number, gate):
    shop.calls.gates[str(number)] = gate
    asked = [
        shop.quiet.enqueue(row_of(number, 1)),
        shop.quiet.enqueue(row_of(f" {number} ", 2, more=None)),
    ]
    gate.set()

    assert isinstance(asked[1], Attached)
    assert priced(number, 1) == asked[0].result(stretched(10)).value
    assert {**priced(number, 2), "n": f" {number} ", "more": None} == asked[1].result(stretched(10)).value
    assert [("price", str(number), 1)] == shop.calls.of(str(number))


@pytest.mark.parametrize(
    ("args", "kwargs", "reason"),
    [
        ((1, 2, 3), {}, "too many positional arguments"),
        ((1,), {"n": 1}, "field=n reason=given twice"),
        ((True,), {}, "field=n reason=must be an id"),
    ],
)
def test_row_that_does_not_fit_the_task_is_not_sent(shop, args, kwargs, reason):
    with pytest.raises(PayloadInvalid, match=reason):
        shop.price.apply_async(args, kwargs)


def test_input_that_does_not_fit_the_task_is_refused(shop, number):
    with pytest.raises(PayloadInvalid, match="unexpected keyword argument 'self'"):
        shop.unfit.enqueue({"n": number})


def test_callers_who_share_a_result_each_get_their_own_row(shop, number, gate):
    shop.calls.gates[str(number)] = gate
    one, other = (shop.price.apply_async((number,), {"row": row}) for row in (1, 2))
    gate.set()

    assert one.id == other.id
    assert (priced(number, 1), priced(number, 2)) == (get(one), get(other))
    assert priced(number, 1) == get(one) == one.result == get(copy(one))
    assert {"price": number + 1} == get(shop.price.AsyncResult(one.id))


def test_result_of_a_hit_is_joined_and_kept_without_the_row(shop, number):
    get(shop.price.delay(**row_of(number, 1)))
    shop.app.backend.forget(shop.price.enqueue(row_of(number, 1)).job)

    again = shop.price.delay(**row_of(number, 2))

    assert priced(number, 2) == get(again)
    assert {"price": number + 1} == get(shop.price.AsyncResult(again.id))
    assert 1 == len(shop.calls.of(str(number)))


def test_parts_of_a_canvas_each_get_their_own_row(shop, number):
    parts = group(shop.price.s(**row_of(number, row)) for row in range(4))

    assert [priced(number, row) for row in range(4)] == get(parts.delay())
    assert 1 == len(shop.calls.of(str(number)))


def test_chain_hands_the_joined_row_on(shop, number):
    result = chain(shop.price.s(number, row=1), shop.taxed.s()).delay()

    assert {**priced(number, 1), "tax": 1} == get(result)


def test_failing_present_is_the_results_error(shop, number):
    task = shop.unjoined

    shared, part = task.delay(n=number), group(task.s(n=number)).delay()

    for result in (shared, part.results[0]):
        with pytest.raises(AnswerUnreadable, match="cannot be joined to the row: KeyError@test_celery_rows"):
            get(result)
    assert isinstance(task.enqueue({"n": number}).error, AnswerUnreadable)


def test_body_gets_the_fields_of_its_input_whatever_the_message_has(shop, number):
    job = identify(shop.quiet.job_spec, row_of(number, 1))
    header = new_header(job)
    shop.store.admit(Claim(job, Terms.of(shop.quiet.job_spec)))

    shop.app.send_task("quiet", kwargs=row_of(number, 1), task_id=job.id, headers={"askonce": header})

    asked = shop.quiet.enqueue(row_of(number, 2))
    answer = asked.result(stretched(10))
    assert (priced(number, 2), 1) == (answer.value, answer.attempts)
    assert (b'{"n":"%d"}' % number, job.id) == (job.payload, asked.job)
    assert [("price", str(number), 1)] == shop.calls.of(str(number))


def test_input_that_changes_its_own_result_is_a_dead_letter(shop, number, eventually):
    asked = shop.grows.enqueue({"n": number})

    dead = eventually(lambda: [one for one in shop.store.letters.dead_messages() if one.job == asked.job])

    assert ["identity_mismatch"] == [one.reason for one in dead]


def test_field_may_have_the_name_self(shop, number):
    assert ["n", "self"] == shop.fields.enqueue({"n": number, "self": 1}).result(stretched(10)).value
