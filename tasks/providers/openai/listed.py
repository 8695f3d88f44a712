"""Finds the configured model in the service's own list, for the doctor: nothing is paid for that.

A service names its models, and some the day from which on a model answers no more. Most of them answer with
no such list, or to no key: then nothing is found.
"""

from __future__ import annotations

import json
import time
from contextlib import closing, suppress
from datetime import UTC, date, datetime
from threading import Thread
from typing import TYPE_CHECKING, Final

from askonce.checks import Finding
from askonce.errors import CallFailed
from tasks.providers.openai.model import LanguageModel

if TYPE_CHECKING:
    from settings.environment import Settings

#: Seconds for the list; a resolver of host names takes its own time.
_SECONDS: Final = 3.0
#: Where a model's last day stands: OpenAI; OpenRouter; Mistral, and Azure OpenAI in an object.
_LAST_DAY: Final = ("shutdown_date", "expiration_date", "deprecation")
#: Days before a model's end in which it is a warning.
_SOON: Final = 90
#: What a name may have more in a list than in a call: a folder of Gemini, a tag of Ollama.
_FOLDER, _TAG = "models/", ":latest"


def look_up(settings: Settings) -> list[Finding]:
    """Return what the service's list says of the configured model; an empty list where there is none."""
    model, lists = LanguageModel(settings), list[bytes]()

    def ask() -> None:
        with closing(model), suppress(CallFailed):
            lists.append(model.list_models(_SECONDS))

    asking = Thread(target=ask, name="doctor-models", daemon=True)
    asking.start()
    asking.join(_SECONDS)
    today = datetime.fromtimestamp(time.time(), UTC).date()
    return [found for content in lists for found in findings_in(content, model.name, today)]


def findings_in(content: bytes, model: str, today: date) -> list[Finding]:
    """Return what the list in *content* says of *model*; nothing where it is no whole list."""
    try:
        body: object = json.loads(content)
    except (ValueError, RecursionError):
        return []
    listed = body.get("data") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(listed, list) or body.get("has_more") is True:
        return []
    for each in listed:
        if isinstance(each, dict) and _is_name_of(each.get("id"), model):
            return _ending(each, model, today)
    text = f"{model} is not in the service's list of models"
    cure = "set OPENAI_MODEL to one of GET {OPENAI_BASE_URL}/models, or see with --call whether it answers"
    return [Finding(severity="warning", subject="model", name="listed", text=text, cure=cure)]


def _is_name_of(name: object, model: str) -> bool:
    return isinstance(name, str) and name.removeprefix(_FOLDER) in (model, f"{model}{_TAG}")


def _ending(listed: dict[str, object], model: str, today: date) -> list[Finding]:
    days = [day for name in _LAST_DAY if (day := _day(listed.get(name))) is not None]
    if not days or (left := (min(days) - today).days) > _SOON:
        return []
    when = f"in {left} days" if left > 0 else "which is over"
    text = f"{model} ends on {min(days).isoformat()}, {when}, as its service says"
    cure = "set OPENAI_MODEL to another one; its answers are made anew"
    return [Finding(severity="warning", subject="model", name="ends", text=text, cure=cure)]


def _day(value: object) -> date | None:
    if isinstance(value, dict):
        value = value.get("inference")
    try:
        if isinstance(value, str):
            return date.fromisoformat(value[:10])
        if isinstance(value, int) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC).date()
    except (ValueError, OverflowError, OSError):
        pass
    return None
