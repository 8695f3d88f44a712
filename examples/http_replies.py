"""What a web client gets, by what became of its job: a status and a body. Both web examples send these."""

from askonce import (
    Duplicate,
    FingerprintMismatch,
    JobError,
    JobFailed,
    PayloadInvalid,
    RecordAbsent,
    Result,
    ResultTimeout,
    SendFailed,
    StoreUnavailable,
    Superseded,
)
from askonce.errors import OptionInvalid

Reply = tuple[dict[str, object], int]


def status_url(key: str) -> str:
    """Return where the answer of a key is. A key is no secret: an app of yours checks first who asks."""
    return f"/rates/{key}"


def of_answer(result: Result) -> Reply:
    """Return the answer, and whether it was there already."""
    return {"answer": result.value, "source": result.source}, 200


def of_duplicate(duplicate: Duplicate) -> Reply:
    """Return where the answer of the first click will be."""
    return {"job": duplicate.job, "status": status_url(duplicate.key)}, 409


def of_error(error: JobError) -> Reply:
    """Return what a client can do about *error*; one that none of these is becomes a 500."""
    match error:
        case PayloadInvalid():
            return {"field": error.field, "reason": error.reason}, 422
        case OptionInvalid():
            return {"option": error.option, "reason": error.reason}, 400
        case ResultTimeout() | SendFailed():
            # The job goes on; where the broker refused its message, the reaper sends it later.
            return {"status": status_url(error.key)}, 202
        case RecordAbsent():
            return {"reason": "no job has this key any more"}, 404
        case FingerprintMismatch() | Superseded():
            return {"reason": "another request has this key"}, 409
        case JobFailed():
            return {"reason": error.reason}, 502
        case StoreUnavailable():
            return {"reason": "try again: nothing was enqueued"}, 503
    raise error
