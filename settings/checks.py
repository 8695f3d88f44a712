"""Checks servers, times and services: when a worker starts, and for the doctor."""

from __future__ import annotations

import os
from ipaddress import ip_address
from socket import getaddrinfo
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from askonce.adapters.celery.checks import check_broker, check_times
from askonce.checks import Finding, without_secrets
from settings.environment import SettingsInvalid, is_openai, is_stand_in
from settings.unknown import check_names

if TYPE_CHECKING:
    from collections.abc import Iterable

    from celery import Celery

    from askonce.spec import JobSpec
    from askonce.store import Store
    from settings.environment import Settings


def check(settings: Settings, specs: Iterable[JobSpec], store: Store, app: Celery) -> list[Finding]:
    """Check *store*, *app*'s broker, all times that *specs*, *app* and *settings* set, the model's URL."""
    times = check_times(
        specs, app, reap_interval=settings.reap_interval, longest_call=settings.longest_call()
    )
    url = settings.openai_base_url
    services = _check_stand_ins(url) if is_stand_in(url) else _check_secrecy(url)
    return [*store.check(), *check_broker(app), *times, *services, *check_names(os.environ)]


def check_outside(settings: Settings) -> list[Finding]:
    """Report which services are configured; none of them is called."""
    customers = f"are looked up at {without_secrets(settings.customer_api_url)}"
    return [
        _check_model(settings),
        Finding(severity="ok", subject="customers", name="customer_api", text=customers),
    ]


def _check_stand_ins(url: str | None) -> list[Finding]:
    """Refuse a worker that has neither services nor stand-ins: each answer would be a fallback."""
    try:
        getaddrinfo(urlsplit(url or "").hostname, None)
    except OSError:
        text = "no service is configured, and no stand-in runs"
        cure = "copy .env.example to .env and fill it in, or: docker compose --profile demo up"
        return [Finding(severity="error", subject="services", name="stand_ins", text=text, cure=cure)]
    text = "stand-ins invent all answers: this is the demo"
    return [Finding(severity="warning", subject="services", name="stand_ins", text=text)]


def _check_secrecy(model_url: str | None) -> list[Finding]:
    """Warn of a model whose transcripts and key cross a network where others can read them."""
    parts = urlsplit(model_url or "https:")
    if parts.scheme == "https" or _is_this_host(parts.hostname or ""):
        return []
    text = (
        f"is called without TLS at {without_secrets(parts.geturl())}: others can read transcripts and the key"
    )
    cure = "set OPENAI_BASE_URL to an https:// address"
    return [Finding(severity="warning", subject="model", name="tls", text=text, cure=cure)]


def _is_this_host(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _check_model(settings: Settings) -> Finding:
    at = without_secrets(settings.openai_base_url) if settings.openai_base_url else "OpenAI"
    try:
        key = settings.openai_key()
    except SettingsInvalid as error:
        variable, _, cure = str(error).partition(": ")
        text = f"{variable} cannot be used"
        return Finding(severity="error", subject="model", name="api_key", text=text, cure=cure)
    is_own = not is_openai(settings.openai_base_url)
    if not key and not is_own:
        text, cure = "has neither a key nor a server of its own", "set OPENAI_API_KEY or OPENAI_BASE_URL"
        return Finding(severity="warning", subject="model", name="api_key", text=text, cure=cure)
    text = f"is called at {at}, {'with' if key else 'without'} a key"
    if not key:
        text += ": a server of one's own may need none"
    return Finding(severity="ok", subject="model", name="api_key", text=text)
