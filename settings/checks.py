"""Checks servers, times and services: when a worker starts, and for the doctor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.adapters.celery.checks import check_broker, check_times
from askonce.checks import Finding, without_secrets
from settings.environment import SettingsInvalid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from celery import Celery

    from askonce.spec import JobSpec
    from askonce.store import Store
    from settings.environment import Settings


def check(settings: Settings, specs: Iterable[JobSpec], store: Store, app: Celery) -> list[Finding]:
    """Check *store*, *app*'s broker, and the order of all times that *specs*, *app* and *settings* set."""
    times = check_times(
        specs, app, reap_interval=settings.reap_interval, longest_call=settings.longest_call()
    )
    return [*store.check(), *check_broker(app), *times]


def check_outside(settings: Settings) -> list[Finding]:
    """Report which services are configured; none of them is called."""
    customers = f"are looked up at {without_secrets(settings.customer_api_url)}"
    return [
        _check_model(settings),
        Finding(severity="ok", subject="customers", name="customer_api", text=customers),
    ]


def _check_model(settings: Settings) -> Finding:
    at = without_secrets(settings.openai_base_url) if settings.openai_base_url else "OpenAI"
    try:
        key = settings.openai_key()
    except SettingsInvalid as error:
        variable, _, cure = str(error).partition(": ")
        text = f"{variable} cannot be used"
        return Finding(severity="error", subject="model", name="api_key", text=text, cure=cure)
    if key is None and settings.openai_base_url is None:
        text, cure = "has neither a key nor a server of its own", "set OPENAI_API_KEY or OPENAI_BASE_URL"
        return Finding(severity="warning", subject="model", name="api_key", text=text, cure=cure)
    text = f"is called at {at}, {'with' if key else 'without'} a key"
    return Finding(severity="ok", subject="model", name="api_key", text=text)
