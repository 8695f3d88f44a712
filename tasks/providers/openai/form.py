"""Finds the form in which one service gives answers: by the strict schema, or as any JSON object.

    json_schema ──(refused: response_format_unsupported)──> json_object, for the rest of the process

In the second form the schema is a part of the instructions. The answer is checked in the same way.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeVar

from askonce.errors import CallFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import BaseModel

Form = Literal["json_schema", "json_object"]
_ReplyT = TypeVar("_ReplyT")

#: The service must read the word JSON, or it refuses this form.
_BY_WORDS: Final = "Answer with one JSON object and nothing else. It must follow this JSON schema:\n{schema}"


class Remembered(Protocol):
    """Where a process keeps the form for others, and finds theirs; both may be slow but raise nothing."""

    def get(self) -> str | None:
        """Return the form that was kept; None for none."""

    def set(self, form: Form) -> None:
        """Keep *form*."""


@cache
def json_schema_of(schema: type[BaseModel]) -> Mapping[str, object]:
    """Return the JSON schema of *schema*, which pydantic takes half a millisecond to make."""
    return schema.model_json_schema()


@dataclass(frozen=True, slots=True)
class Wanted:
    """How the answer to one question is asked for."""

    form: Form
    schema: type[BaseModel]

    @property
    def note(self) -> str:
        """What the instructions must say about the form; empty where the request itself says it."""
        if self.form == "json_schema":
            return ""
        return _BY_WORDS.format(schema=json.dumps(json_schema_of(self.schema)))

    def instructions(self, given: str) -> str:
        """Return the *given* instructions with the note."""
        return f"{given}\n\n{self.note}" if self.note else given

    def for_chat(self) -> Any:  # noqa: ANN401  # one of the client's types
        """Return ``response_format`` of Chat Completions."""
        if self.form == "json_object":
            return {"type": "json_object"}
        return {"type": "json_schema", "json_schema": self._strict()}

    def for_responses(self) -> Any:  # noqa: ANN401  # one of the client's types
        """Return ``text.format`` of Responses."""
        return (
            {"type": "json_object"}
            if self.form == "json_object"
            else {"type": "json_schema", **self._strict()}
        )

    def input(self, text: str) -> Any:  # noqa: ANN401  # one of the client's types
        """Return ``input`` of Responses, where OpenAI looks for the note: its instructions do not count."""
        if not self.note:
            return text
        return [{"role": "system", "content": self.note}, {"role": "user", "content": text}]

    def _strict(self) -> dict[str, object]:
        return {"name": self.schema.__name__, "strict": True, "schema": json_schema_of(self.schema)}


class AnswerForm:
    """Knows for one client which form its service takes."""

    def __init__(self, remembered: Remembered | None = None) -> None:
        """Begin with the form that *remembered* has, or with the strict one."""
        self._remembered = remembered
        self._form: Form = "json_schema"

    def ask(self, schema: type[BaseModel], send: Callable[[Wanted], _ReplyT]) -> _ReplyT:
        """Return what *send* returns for the form that the service takes.

        Raises:
            CallFailed: the service refused for another reason, or takes neither form.
        """
        form = self._known()
        try:
            return send(Wanted(form, schema))
        except CallFailed as failure:
            if form == "json_object" or failure.reason != "response_format_unsupported":
                raise
        # Outside the handler: an error of the second request must not hold the first one.
        reply = send(Wanted("json_object", schema))
        self._keep("json_object")
        return reply

    def _known(self) -> Form:
        """Return the form that this process or another one found."""
        if self._form == "json_schema" and self._remembered is not None:
            self._form = "json_object" if self._remembered.get() == "json_object" else "json_schema"
        return self._form

    def _keep(self, form: Form) -> None:
        if self._form != form:
            self._form = form
            if self._remembered is not None:
                self._remembered.set(form)
