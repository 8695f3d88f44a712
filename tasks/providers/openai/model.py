"""Calls the language model once and returns an answer, or raises a failure with its price.

    ask ──> send ──> book usage ──> ending? ──> validate ──> Answer
             │                        │            │
             │                        │            └─ malformed_answer
             │                        └─ refused, truncated, unfinished
             └─ timeout, connection, http_503, ...

Usage is booked before the answer is checked: a truncated or refused answer was paid like a good one.
The client never retries, because the engine does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, ValidationError

from askonce.answer import Answer
from askonce.errors import Configuration, Transient
from settings.environment import OPENAI_URL, SettingsInvalid, is_openai
from tasks.providers.failures import with_spending
from tasks.providers.openai.failures import failure_of
from tasks.providers.openai.reply import read

if TYPE_CHECKING:
    from collections.abc import Callable

    import openai

    from settings.environment import Settings

#: Seconds to connect. Only the answer may take longer.
_CONNECT_SECONDS: Final = 5.0


class LanguageModel:
    """A client of one service and model. Build one for each process, after the fork."""

    def __init__(self, settings: Settings, *, client: openai.OpenAI | None = None) -> None:
        """Build the client from *settings* unless one is given.

        ``ask`` reports a missing key: the worker itself must start, so that it can report it.
        """
        self.name, self.timeout = settings.openai_model, settings.llm_timeout
        self._is_openai = is_openai(settings.openai_base_url)
        self._flavour = settings.llm_flavour()
        self._client = client or _build_client(settings)

    def ask(self, *, instructions: str, text: str, schema: type[BaseModel]) -> Answer:
        """Return the answer as JSON data of the given *schema*, with its usage and cost.

        Raises:
            CallFailed: its data has ``usage`` and ``cost_usd`` if the service answered.
        """
        return self.judge(self.send(instructions, text, schema), schema)

    def send(
        self, instructions: str, text: str, schema: type[BaseModel], *, background: bool = False
    ) -> bytes:
        """Return the body of the service's reply; in the *background* it may hold an id only.

        Raises:
            CallFailed: the service sent no body.
        """
        if self._flavour == "chat":
            return self._call(lambda client: self._send_chat(client, instructions, text, schema))
        return self._call(
            lambda client: self._send_responses(client, instructions, text, schema, background=background)
        )

    def retrieve(self, response: str, seconds: float) -> bytes:
        """Return the body of a response as it is now; wait *seconds* for the reply.

        Raises:
            CallFailed: the service sent no body.
        """
        return self._call(
            lambda client: (
                client.responses.with_raw_response.retrieve(response, timeout=seconds).http_response.content
            )
        )

    def judge(self, content: bytes, schema: type[BaseModel]) -> Answer:
        """Return the answer in a body.

        Raises:
            CallFailed: no answer fits the *schema*; with its usage and cost.
        """
        reply = read(content, self._flavour)
        value = _validated(schema, reply.text) if reply.failure is None else None
        if value is None:
            failure = reply.failure or Transient("malformed_answer", maybe_billed=True)
            raise with_spending(failure, usage=reply.usage, cost_usd=reply.cost_usd)
        return Answer(value=value, cost_usd=reply.cost_usd, usage=reply.usage)

    def _call(self, send: Callable[[openai.OpenAI], bytes]) -> bytes:
        if self._client is None:
            raise Configuration("no_api_key")
        import openai

        try:
            return send(self._client)
        except openai.APIError as exc:
            failure = failure_of(exc)
        # Outside the handler: a chained vendor error would hold the request and the provider's text.
        raise failure

    def _send_responses(
        self,
        client: openai.OpenAI,
        instructions: str,
        text: str,
        schema: type[BaseModel],
        *,
        background: bool,
    ) -> bytes:
        from openai import omit

        raw = client.responses.with_raw_response.create(
            model=self.name,
            instructions=instructions,
            input=text,
            # By default the service keeps requests for a month at least. Only a kept response can be made in
            # the background.
            store=background,
            background=True if background else omit,
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
            model=self.name,
            messages=[{"role": "system", "content": instructions}, {"role": "user", "content": text}],
            # Compatible services may refuse unknown fields.
            store=False if self._is_openai else omit,
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
    # A key that is not ASCII cannot be a header, and the error about it would quote the key.
    if not key or not key.isascii():
        return None
    import openai

    return openai.OpenAI(
        api_key=key,
        base_url=settings.openai_base_url or OPENAI_URL,
        timeout=openai.Timeout(settings.llm_timeout, connect=min(_CONNECT_SECONDS, settings.llm_timeout)),
        max_retries=0,
    )


def _validated(schema: type[BaseModel], text: str) -> dict[str, object] | None:
    """Return the answer's data, or None: an error would quote the answer."""
    try:
        return schema.model_validate_json(text).model_dump(mode="json")
    except ValidationError:
        return None
