import pytest

from askonce.answer import Codec
from askonce.enqueue import Producer
from askonce.execute import Executor
from askonce.execution import Computed, Delivery, Failed
from askonce.key import identify
from askonce.lease import LeaseRenewer
from askonce.spec import JobSpec
from tests.deadlines import stretched
from tests.jobs import OneQueue

pytestmark = pytest.mark.integration

SPEC = JobSpec(name="rates.fetch")
#: A text is kept with its codec's letter and two quotes.
LARGEST = SPEC.max_value_bytes - 3


@pytest.mark.parametrize(("size", "end"), [(LARGEST, Computed), (LARGEST + 1, Failed)])
def test_answer_of_a_mebibyte_is_kept_and_a_larger_one_fails(shifted_store, size, end):
    producer = Producer(store=shifted_store, sender=Nobody())
    asked = producer.enqueue(SPEC, {"size": size})
    delivery = Delivery(spec=SPEC, job=identify(SPEC, {"size": size}, job_id=asked.job))
    executor = Executor(
        store=shifted_store, leases=LeaseRenewer(shifted_store), codec=Codec(compress_from=1 << 30)
    )

    executed = executor.execute(delivery, lambda: "a" * size)

    [record] = shifted_store.read([asked.key])
    assert isinstance(executed, end)
    if end is Computed:
        assert "a" * size == asked.result(stretched(5)).value
    else:
        assert (None, "permanent", "value_invalid:too_large") == (
            record.value,
            record.failure.kind,
            record.failure.reason,
        )


class Nobody(OneQueue):
    def send(self, message):
        pass
