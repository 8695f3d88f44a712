import pytest

from askonce.answer import Meta, StoredValue
from askonce.record import Failure, Snapshot, Status


def failure(kind, remaining=9.0):
    return Failure(kind=kind, reason="http_400", job="job-1", remaining=remaining)


FRESH = StoredValue(data=b"j1", meta=Meta(), fence=1, stored_at=0.0, age=1.0, fresh_for=1.0)
STALE = StoredValue(data=b"j1", meta=Meta(), fence=1, stored_at=0.0, age=99.0)


@pytest.mark.parametrize(
    ("snapshot", "status"),
    [
        (Snapshot(), Status.ABSENT),
        (Snapshot(flight="queued", value=FRESH), Status.QUEUED),
        (Snapshot(flight="running", value=STALE, failure=failure("permanent")), Status.RUNNING),
        (Snapshot(value=FRESH), Status.DONE),
        (Snapshot(value=STALE), Status.STALE),
        (Snapshot(value=STALE, failure=failure("transient")), Status.STALE),
        (Snapshot(value=STALE, failure=failure("permanent")), Status.FAILED),
        (Snapshot(value=STALE, failure=failure("quarantined")), Status.QUARANTINED),
        (Snapshot(failure=failure("quarantined", 0.0)), Status.ABSENT),
        (Snapshot(failure=failure("configuration")), Status.ABSENT),
    ],
    ids=range(10),
)
def test_record_has_one_status_for_people(snapshot, status):
    assert status is snapshot.status
