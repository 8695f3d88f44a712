"""Reads the environment once, at the start of a process, into one frozen object."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path  # noqa: TC003  # pydantic reads the annotation
from typing import TYPE_CHECKING, Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import NoDecode

from askonce.kinds import KINDS
from askonce.spec import LONGEST_LEASE, SHORTEST
from settings.http import HttpUrl, socks_proxies
from settings.prices import ModelPrice, read_prices
from settings.urls import ServerSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

#: No sensible deadline is longer. Infinity is a mistake.
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
#: As long as the engine fences a late answer: ``askonce.spec.LONGEST_LEASE``.
LeaseSeconds = Annotated[float, Field(ge=SHORTEST, le=LONGEST_LEASE, allow_inf_nan=False)]
#: A call must end well before the visibility timeout of an hour that kombu's own transport has.
CallSeconds = Annotated[float, Field(gt=0, le=3_000, allow_inf_nan=False)]
#: For how long an answer may be fresh: a year.
TtlSeconds = Annotated[float, Field(ge=SHORTEST, le=31_536_000, allow_inf_nan=False)]
Bytes = Annotated[int, Field(gt=0)]
#: Not decoded by pydantic-settings: its error for a text that is no JSON would end the process with a trace.
Prices = Annotated[dict[str, ModelPrice], NoDecode, BeforeValidator(read_prices)]

#: How log lines are written.
LogFormat = Literal["json", "console"]

OPENAI_URL = "https://api.openai.com/v1"
#: The host of the stand-ins in docker-compose.yml, and the namespace that keeps their answers.
STAND_INS, DEMO = "stand-ins", "demo"


class Settings(ServerSettings):
    """All variables of the project; the field name in upper case is the variable's name."""

    job_lease: LeaseSeconds = 30.0
    job_queue_deadline: Seconds = 60.0
    reap_interval: Seconds = 5.0

    cache_ttl_hours: Annotated[float, Field(gt=0, le=8_760, allow_inf_nan=False)] = 24.0
    #: Of cached functions, by the kind of what they look up.
    cache_ttl_default: TtlSeconds = KINDS["default"]
    cache_ttl_keywords: TtlSeconds = KINDS["keywords"]
    cache_ttl_metrics: TtlSeconds = KINDS["metrics"]
    cache_ttl_trends: TtlSeconds = KINDS["trends"]
    cache_ttl_local_info: TtlSeconds = KINDS["local-info"]
    cache_ttl_forecast: TtlSeconds = KINDS["forecast"]
    cache_ttl_rankings: TtlSeconds = KINDS["rankings"]
    cache_compression_threshold: Bytes = 1024
    cache_fallback_enabled: bool = True
    cache_fallback_ttl: Seconds = 300.0
    cache_max_memory_mb: Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)] = 100.0

    openai_api_key: SecretStr | None = None
    openai_api_key_file: Path | None = None
    openai_base_url: HttpUrl | None = None
    openai_model: Annotated[str, Field(min_length=1)] = "gpt-6-luna"
    llm_api: Literal["responses", "chat", "auto"] = "auto"
    llm_background: bool = False
    llm_timeout: CallSeconds = 45.0
    llm_max_input_chars: Bytes = 400_000
    #: Of one answer, its reasoning included; None for the service's own limit.
    llm_max_output_tokens: Annotated[int, Field(gt=0, le=10_000_000)] | None = None
    #: Of all workers together; None for as many as the service accepts.
    llm_max_requests_per_minute: Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)] | None = None
    llm_prices: Prices = Field(default_factory=dict)

    customer_api_url: HttpUrl = "http://127.0.0.1:8081"
    customer_api_timeout: CallSeconds = 5.0

    #: Where this process shows that it lives; None for no signs. Each process has a folder of its own.
    health_folder: Path | None = None
    #: None: ``console`` on a terminal, ``json`` elsewhere.
    log_format: LogFormat | None = None

    #: Not a FilePath: producers have no such file, and workers may get theirs after their start.
    orders_file: Path | None = None

    @field_validator("llm_background")
    @classmethod
    def _needs_the_responses_form(cls, background: bool, known: ValidationInfo) -> bool:  # noqa: FBT001  # pydantic's signature
        # A variable that was refused is missing here. Its own error line names it.
        api, url = known.data.get("llm_api", "responses"), known.data.get("openai_base_url")
        if background and _flavour(api, url) == "chat":
            raise ValueError("needs the responses form of the API; set LLM_API=responses")
        return background

    @model_validator(mode="after")
    def _keeps_stand_ins_apart(self) -> Self:
        """Refuse to keep invented answers beside real ones: the next ask would be served from them."""
        services = {"OPENAI_BASE_URL": self.openai_base_url, "CUSTOMER_API_URL": self.customer_api_url}
        invented = [name for name, url in services.items() if is_stand_in(url)]
        has_key = self.openai_api_key or self.openai_api_key_file
        is_demo = self.namespace == DEMO and len(invented) == len(services) and not has_key
        if (invented or self.namespace == DEMO) and not is_demo:
            raise PydanticCustomError(
                "stand_ins",
                "{names}: the namespace demo is for the stand-ins, which need no OPENAI_API_KEY; "
                "for real services name both, and another namespace",
                {"names": ", ".join(invented or ["ASKONCE_NAMESPACE"])},
            )
        return self

    def llm_flavour(self) -> Literal["responses", "chat"]:
        """Return the form of the API that calls to the model use."""
        return _flavour(self.llm_api, self.openai_base_url)

    def ttl_of_kinds(self) -> dict[str, float]:
        """Return the seconds for which a cached function's answer is fresh, by its kind."""
        return {kind: getattr(self, f"cache_ttl_{kind.replace('-', '_')}") for kind in KINDS}

    def longest_call(self) -> float:
        """Return the seconds that the longest call to a service may take."""
        return max(self.llm_timeout, self.customer_api_timeout)

    def longest_attempt(self) -> float:
        """Return the seconds for which one attempt may hold its slot.

        A long transcript's begins its last call up to LLM_TIMEOUT after its start.
        """
        return self.llm_timeout + self.longest_call()

    def openai_key(self) -> str | None:
        """Return the key of the LLM service, from its variable or from the file that a variable names.

        Raises:
            SettingsInvalid: the file cannot be read or is empty. Not at start: a producer needs no key.
        """
        if self.openai_api_key is not None or self.openai_api_key_file is None:
            return self.openai_api_key.get_secret_value() if self.openai_api_key else None
        try:
            key = self.openai_api_key_file.read_text().strip()
        except (OSError, UnicodeDecodeError):
            key = ""
        if not key:
            raise SettingsInvalid("OPENAI_API_KEY_FILE: must name a readable file that holds a key")
        return key


def is_stand_in(url: str | None) -> bool:
    """Return whether the service is the stand-in that ``docker compose --profile demo up`` starts."""
    return urlsplit(url or "").hostname == STAND_INS


def is_openai(base_url: str | None) -> bool:
    """Return whether the service is OpenAI itself, not a compatible one."""
    host = urlsplit(base_url or OPENAI_URL).hostname or ""
    return host == "api.openai.com" or host.endswith(".api.openai.com")


def is_azure(base_url: str | None) -> bool:
    """Return whether the service is Azure OpenAI, whose models are OpenAI's."""
    return (urlsplit(base_url or OPENAI_URL).hostname or "").endswith(".openai.azure.com")


def _flavour(api: Literal["responses", "chat", "auto"], base_url: str | None) -> Literal["responses", "chat"]:
    if api != "auto":
        return api
    return "responses" if is_openai(base_url) else "chat"


class SettingsInvalid(Exception):
    """A variable of the environment has a value that cannot be used."""


@cache
def load() -> Settings:
    """Read the environment.

    Raises:
        SettingsInvalid: names each variable and what is wrong with it, never its value.
    """
    try:
        settings = Settings(_env_file=env_file(os.environ))
    except ValidationError as exc:
        # An error about several variables names them in its own text.
        lines = (": ".join((*(str(part).upper() for part in e["loc"][:1]), e["msg"])) for e in exc.errors())
        raise SettingsInvalid("; ".join(lines)) from None
    if socks := socks_proxies(os.environ):
        raise SettingsInvalid(f"{', '.join(socks)}: a SOCKS proxy needs the package socksio")
    return settings


def env_file(environment: Mapping[str, str]) -> str | None:
    """Return the file that is read beside *environment*; an empty ENV_FILE names none."""
    return environment.get("ENV_FILE", ".env") or None


#: BSD's EX_CONFIG.
EXIT_CONFIG = 78


def load_or_exit() -> Settings:
    """Read the environment, or end the process with one line on stderr and EXIT_CONFIG."""
    try:
        return load()
    except SettingsInvalid as exc:
        sys.stderr.write(f"bad configuration: {exc}\n")
        raise SystemExit(EXIT_CONFIG) from None
