"""Asks the language model once and says what came of it: an answer, or a failure with its price.

    ask ──> send ──> book usage ──> ending? ──> validate ──> Answer
             │                        │            │
             │                        │            └─ malformed_answer
             │                        └─ refused, truncated, unfinished
             └─ timeout, connection, http_503, ...

Usage is booked before the answer is judged: a truncated or refused answer was paid like a good one.
Retrying is the engine's business, so the client never does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from askonce.errors import CallFailed, Configuration, Transient
from askonce.record import Answer
from tasks.call_errors import from_status, parse_retry_after, with_spending
from tasks.model_reply import Flavour, read
from tasks.settings import SettingsInvalid

if TYPE_CHECKING:
    import openai

    from tasks.settings import Settings

_OPENAI_URL: Final = "https://api.openai.com/v1"
#: A service that cannot be reached shows it within this many seconds; only the answer takes long.
_CONNECT_SECONDS: Final = 5.0

#: The service behind the gateway may have finished, and charged, after the gateway gave up.
_GATEWAY_GAVE_UP: Final = frozenset({502, 504})


class LanguageModel:
    """A client of one service and model; build it once per process, after the fork."""

    def __init__(self, settings: Settings, *, client: openai.OpenAI | None = None) -> None:
        """Build the client from *settings* unless one is given.

        A missing key is reported by ``ask``: a worker must start to be able to say so.
        """
        self._model = settings.openai_model
        self._host = urlsplit(settings.openai_base_url or _OPENAI_URL).hostname or ""
        self._flavour = self._choose_flavour(settings)
        self._client = client or _build_client(settings)

    def ask(self, *, instructions: str, text: str, schema: type[BaseModel]) -> Answer:
        """Return the answer as JSON-able data of the given *schema*, with its usage and cost.

        Raises:
            CallFailed: ``usage`` and ``cost_usd`` are among its data if the service answered.
        """
        reply = read(self._send(instructions, text, schema), self._flavour)
        value = _validated(schema, reply.text) if reply.failure is None else None
        if value is None:
            failure = reply.failure or Transient("malformed_answer", maybe_billed=True)
            raise with_spending(failure, usage=reply.usage, cost_usd=reply.cost_usd)
        return Answer(value=value, cost_usd=reply.cost_usd, usage=reply.usage)

    def _choose_flavour(self, settings: Settings) -> Flavour:
        if settings.llm_api != "auto":
            return settings.llm_api
        return "responses" if self._is_openai() else "chat"

    def _is_openai(self) -> bool:
        return self._host == "api.openai.com" or self._host.endswith(".api.openai.com")

    def _send(self, instructions: str, text: str, schema: type[BaseModel]) -> bytes:
        if self._client is None:
            raise Configuration("no_api_key")
        import openai

        send = self._send_chat if self._flavour == "chat" else self._send_responses
        try:
            return send(self._client, instructions, text, schema)
        except openai.APIError as exc:
            failure = _failure(exc)
        # Outside the handler: a chained vendor error would carry the request and the provider's text.
        raise failure

    def _send_responses(
        self, client: openai.OpenAI, instructions: str, text: str, schema: type[BaseModel]
    ) -> bytes:
        raw = client.responses.with_raw_response.create(
            model=self._model,
            instructions=instructions,
            input=text,
            # The service keeps what it is asked for at least a month unless told not to.
            store=False,
            text={
                "format": {
                    "type": "json_schema",
                    "name": schema.__name__,
                    "strict": True,
                    "schema": schema.model_json_schema(),
                }
            },
        )
        return raw.http_response.content

    def _send_chat(
        self, client: openai.OpenAI, instructions: str, text: str, schema: type[BaseModel]
    ) -> bytes:
        from openai import omit

        raw = client.chat.completions.with_raw_response.create(
            model=self._model,
            messages=[{"role": "system", "content": instructions}, {"role": "user", "content": text}],
            # Compatible services may refuse fields that they do not know.
            store=False if self._is_openai() else omit,
            response_format={
                "type": "json_schema",
                "json_schema": {
                    "name": schema.__name__,
                    "strict": True,
                    "schema": schema.model_json_schema(),
                },
            },
        )
        return raw.http_response.content


def _build_client(settings: Settings) -> openai.OpenAI | None:
    try:
        key = (settings.openai_key() or "").strip()
    except SettingsInvalid:
        return None
    # A key that is not ASCII cannot be a header: the error about it would quote the key.
    if not key or not key.isascii():
        return None
    import openai

    return openai.OpenAI(
        api_key=key,
        base_url=settings.openai_base_url or _OPENAI_URL,
        timeout=openai.Timeout(settings.llm_timeout, connect=min(_CONNECT_SECONDS, settings.llm_timeout)),
        max_retries=0,
    )


def _failure(exc: openai.APIError) -> CallFailed:
    """Map the vendor's errors; the one table of this adapter."""
    import openai

    match exc:
        case openai.APITimeoutError():
            return Transient("timeout", maybe_billed=_was_sent(exc))
        case openai.APIConnectionError():
            return Transient("connection", maybe_billed=_was_sent(exc))
        case openai.APIStatusError():
            wish = parse_retry_after(exc.response.headers)
            billed = exc.status_code in _GATEWAY_GAVE_UP
            return from_status(exc.status_code, code=exc.code, retry_after=wish, maybe_billed=billed)
        case _:
            return Transient("client_error", maybe_billed=True)


def _was_sent(exc: openai.APIConnectionError) -> bool:
    import httpx2

    return not isinstance(exc.__cause__, (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout))


def _validated(schema: type[BaseModel], text: str) -> dict[str, object] | None:
    """Return the answer's data, or None instead of an error that would quote the answer."""
    try:
        return schema.model_validate_json(text).model_dump(mode="json")
    except ValidationError:
        return None
