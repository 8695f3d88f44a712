"""Names the variables that somebody meant for this project, and that nothing reads."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from dotenv import dotenv_values

from askonce.checks import Finding
from settings.environment import Settings, env_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Variables with these first words are ours. Others (``REDIS_``, ``OPENAI_``) have more owners than one.
_OURS: Final = ("ASKONCE_", "CACHE_", "CUSTOMER_API_", "HEALTH_", "JOB_", "LLM_", "ORDERS_", "REAP_")
#: Read by docker compose itself, or before the settings.
_OTHERS: Final = frozenset({"ASKONCE_TAG", "ENV_FILE"})
#: A name that is so much like one of ours is a slip: one letter of eight may differ.
_ALIKE: Final = 0.85


def check_names(environment: Mapping[str, str]) -> list[Finding]:
    """Warn of what nothing reads of *environment*, and of the file beside it; no value is shown."""
    file = env_file(environment)
    names = [*environment, *(dotenv_values(file) if file else ())]
    known = {(field.alias or name).upper() for name, field in Settings.model_fields.items()}
    return [_unread(name, known) for name in sorted(set(names)) if _is_meant(name.upper(), known)]


def _is_meant(name: str, known: Iterable[str]) -> bool:
    if name in known or name in _OTHERS or not name.isidentifier():
        return False
    return name.startswith(_OURS) or bool(_nearest(name, known))


def _nearest(name: str, known: Iterable[str]) -> list[str]:
    return get_close_matches(name, known, n=1, cutoff=_ALIKE)


def _unread(name: str, known: Iterable[str]) -> Finding:
    nearest = _nearest(name.upper(), known)
    cure = f"did you mean {nearest[0]}?" if nearest else "docs/configuration.md has all variables"
    return Finding(
        severity="warning",
        subject="settings",
        name="unknown_variable",
        text=f"nothing reads {name}",
        cure=cure,
    )
