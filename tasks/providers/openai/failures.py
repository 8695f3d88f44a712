"""Maps the errors of the openai package to errors of the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from askonce.errors import CallFailed, Configuration, Permanent, Postponed, Transient
from tasks.providers.connection import failure_of_connection
from tasks.providers.failures import failure, from_status, parse_retry_after
from tasks.providers.openai.reply import is_page, is_refusal
from tasks.providers.openai.signs import meaning_of, status_of
from tasks.providers.openai.words import said_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    import openai

#: What a status says of an address.
_OF_ADDRESSES: Final = frozenset({"not_an_api", "not_found", "redirected"})
#: How LM Studio says with status 200 that the path is not there.
_NO_ENDPOINT: Final = "unexpected endpoint or method"
_NOT_FOUND: Final = 404


def failure_of(exc: openai.APIError) -> CallFailed:
    """Return the engine's error for the vendor's error, without its text."""
    import openai

    match exc:
        case openai.APIStatusError(response=answer):
            is_reading = exc.request.method == "GET"
            return failure_in(answer.status_code, answer.headers, answer.content, is_reading=is_reading)
        case openai.APITimeoutError() if exc.__cause__ is None:
            return failure(Transient, "timeout")
        case openai.APIConnectionError():
            return failure_of_connection(exc.__cause__)
        case _:
            return Transient("client_error", maybe_billed=True)


def refusal_in(content: bytes) -> CallFailed | None:
    """Return the refusal in a reply of success; None for anything else, also for an error that may be paid.

    A router in front of several services has sent its status before it asks one of them. A response that is
    made in the background is refused when its turn comes.
    """
    if not is_refusal(content):
        return None
    said = said_in(content)
    if said.words.startswith(_NO_ENDPOINT):
        return Configuration("not_an_api")
    status = status_of(said)
    found = failure_in(status, {}, content) if status is not None else None
    # An address that is not there would not have answered.
    is_told = isinstance(found, Postponed | Permanent | Configuration) and found.reason not in _OF_ADDRESSES
    return found if is_told else None


def failure_in(
    status: int, headers: Mapping[str, str], content: bytes, *, is_reading: bool = False
) -> CallFailed:
    """Return the engine's error for an answer that is no success.

    *is_reading* is true where a response was read by its id: one that is not found is no wrong address.
    """
    wish, said = parse_retry_after(headers), said_in(content)
    # A response that is not there may be told in words about its model.
    meaning = None if is_reading and status == _NOT_FOUND else meaning_of(status, said)
    if meaning is not None:
        return failure(*meaning, retry_after=wish)
    found = from_status(status, retry_after=wish, one_address=not is_reading)
    if is_reading and isinstance(found, Permanent) and is_page(content):
        # A page of what stands before the service says nothing of the response.
        return failure(Transient, "gateway_gave_up", retry_after=wish)
    return found
