"""Reads the environment once, at the edge, into one frozen object."""

from __future__ import annotations

import os
import ssl
import sys
from functools import cache
from pathlib import Path  # noqa: TC003  # pydantic reads the annotation
from typing import Annotated, Any, Literal, Self
from urllib.parse import SplitResult, parse_qs, quote, urlsplit

from pydantic import (
    Field,
    FilePath,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from askonce.adapters.redis.servers import CLUSTER, SENTINEL, Servers, parse

#: Longer than any deadline that makes sense; infinity is a mistake.
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
#: A call must end well before the visibility timeout of an hour that kombu's own transport has.
CallSeconds = Annotated[float, Field(gt=0, le=3_000, allow_inf_nan=False)]
HttpUrl = Annotated[str, Field(pattern=r"^https?://[^/\s]+")]
Bytes = Annotated[int, Field(gt=0)]

OPENAI_URL = "https://api.openai.com/v1"


class Settings(BaseSettings):
    """All variables of the project; the field name in upper case is the variable's name."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_ignore_empty=True)

    redis_url: SecretStr | None = None
    redis_host: str = "127.0.0.1"
    redis_port: Annotated[int, Field(gt=0, lt=65536)] = 6379
    redis_db: Annotated[int, Field(ge=0)] = 0
    redis_password: SecretStr | None = None
    redis_ssl: bool = False
    redis_ssl_ca_certs: FilePath | None = None
    redis_ssl_certfile: FilePath | None = None
    redis_ssl_keyfile: FilePath | None = None
    celery_broker_url: SecretStr | None = None
    namespace: Annotated[str, Field(alias="ASKONCE_NAMESPACE", pattern=r"^[A-Za-z0-9_.-]{1,40}$")] = "jobs"

    job_lease: Seconds = 30.0
    job_queue_deadline: Seconds = 60.0
    reap_interval: Seconds = 5.0

    cache_ttl_hours: Annotated[float, Field(gt=0, le=8_760, allow_inf_nan=False)] = 24.0
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

    customer_api_url: HttpUrl = "http://127.0.0.1:8081"
    customer_api_timeout: CallSeconds = 5.0

    @field_validator("redis_url")
    @classmethod
    def _has_a_scheme_of_ours(cls, url: SecretStr | None) -> SecretStr | None:
        known = ("redis://", "rediss://", "unix:///", *CLUSTER, *SENTINEL)
        if url is not None and not url.get_secret_value().startswith(known):
            raise ValueError(f"must begin with {', '.join(known[:-1])} or {known[-1]}")
        return url

    @field_validator("redis_url", "celery_broker_url")
    @classmethod
    def _names_its_servers(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and url.get_secret_value().startswith((*CLUSTER, *SENTINEL)):
            parse(url.get_secret_value())
        return url

    @field_validator("celery_broker_url")
    @classmethod
    def _is_no_cluster(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and url.get_secret_value().startswith(CLUSTER):
            raise ValueError("must be one server or sentinels: a cluster can not carry Celery's messages")
        return url

    @model_validator(mode="after")
    def _has_a_broker(self) -> Self:
        if self.celery_broker_url is None and self.store_url().startswith(CLUSTER):
            raise PydanticCustomError(
                "broker",
                "CELERY_BROKER_URL: must be set, because REDIS_URL is a cluster, which carries records only",
            )
        return self

    @field_validator("redis_url", "celery_broker_url")
    @classmethod
    def _has_its_password_encoded(cls, url: SecretStr | None) -> SecretStr | None:
        # A bare / # or ? in a password ends the host; what follows would be read, and shown, as a port.
        if url is not None and url.get_secret_value().startswith(("redis://", "rediss://")):
            parts = urlsplit(url.get_secret_value())
            if "@" in f"{parts.path}{parts.query}{parts.fragment}" or not _has_port(parts):
                raise ValueError("must have a port from 1 to 65535, and its password percent-encoded")
        return url

    @field_validator("llm_background")
    @classmethod
    def _is_of_the_responses_form(cls, background: bool, known: ValidationInfo) -> bool:  # noqa: FBT001  # pydantic's signature
        # A sibling that was refused is not known; its own line says so.
        api, url = known.data.get("llm_api", "responses"), known.data.get("openai_base_url")
        if background and _flavour(api, url) == "chat":
            raise ValueError("needs the responses form of the API; LLM_API=responses asks for it")
        return background

    def llm_flavour(self) -> Literal["responses", "chat"]:
        """Return the form of the API in which the model is asked."""
        return _flavour(self.llm_api, self.openai_base_url)

    def store_url(self) -> str:
        """Return where the records live."""
        if self.redis_url is not None:
            return self.redis_url.get_secret_value()
        scheme = "rediss" if self.redis_ssl else "redis"
        secret = self.redis_password.get_secret_value() if self.redis_password else ""
        login = f":{quote(secret, safe='')}@" if secret else ""
        return f"{scheme}://{login}{self.redis_host}:{self.redis_port}/{self.redis_db}"

    def broker_url(self) -> str:
        """Return where messages go; the records' server unless told otherwise."""
        sentinels = self.broker_sentinels()
        if sentinels is not None:
            return sentinels.broker_url
        if self.celery_broker_url is not None:
            return self.celery_broker_url.get_secret_value()
        parts = urlsplit(self.store_url())
        if parts.scheme != "unix":
            return self.store_url()
        # kombu has words of its own for a unix socket.
        database = parse_qs(parts.query).get("db", ["0"])[0]
        return f"redis+socket://{parts.path}?virtual_host={database}"

    def store_tls(self) -> dict[str, str]:
        """Return what redis-py needs to know besides a URL with TLS; nothing for another URL."""
        return self._tls() if self.store_url().startswith("rediss") else {}

    def broker_tls(self) -> dict[str, Any]:
        """Return the same for the broker; kombu speaks TLS only where it is told so."""
        url, sentinels = self.broker_url(), self.broker_sentinels()
        if url.startswith("amqps://"):
            # The words of py-amqp.
            given = {name.removeprefix("ssl_"): value for name, value in self._tls().items()}
            return given | {"cert_reqs": ssl.CERT_REQUIRED}
        return self._tls() if url.startswith("rediss://") or (sentinels and sentinels.is_secure) else {}

    def _tls(self) -> dict[str, str]:
        given = {
            "ssl_ca_certs": self.redis_ssl_ca_certs,
            "ssl_certfile": self.redis_ssl_certfile,
            "ssl_keyfile": self.redis_ssl_keyfile,
        }
        # Said, although it is redis-py's default: nobody may be mistaken for the server.
        return {"ssl_cert_reqs": "required", **{name: str(path) for name, path in given.items() if path}}

    def broker_sentinels(self) -> Servers | None:
        """Return who watches the broker; None where that is nobody."""
        given = self.celery_broker_url
        url = given.get_secret_value() if given is not None else self.store_url()
        return parse(url) if url.startswith(SENTINEL) else None

    def openai_key(self) -> str | None:
        """Return the key of the LLM service, from the variable or from the file it names.

        Raises:
            SettingsInvalid: the file cannot be read or is empty. Not at start: who only asks needs no key.
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


def is_openai(base_url: str | None) -> bool:
    """Tell whether the service is OpenAI itself, not a compatible one."""
    host = urlsplit(base_url or OPENAI_URL).hostname or ""
    return host == "api.openai.com" or host.endswith(".api.openai.com")


def _flavour(api: Literal["responses", "chat", "auto"], base_url: str | None) -> Literal["responses", "chat"]:
    if api != "auto":
        return api
    return "responses" if is_openai(base_url) else "chat"


def _has_port(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:
        return False


class SettingsInvalid(Exception):
    """A variable of the environment has a value that cannot be used."""


@cache
def load() -> Settings:
    """Read the environment.

    Raises:
        SettingsInvalid: names each variable and what is wrong with it, never its value.
    """
    try:
        # ENV_FILE= (empty) reads none: what a test or a sandbox runs must not depend on the folder.
        return Settings(_env_file=os.environ.get("ENV_FILE", ".env") or None)
    except ValidationError as exc:
        # What is wrong with several together names them itself.
        lines = (": ".join((*(str(part).upper() for part in e["loc"][:1]), e["msg"])) for e in exc.errors())
        raise SettingsInvalid("; ".join(lines)) from None


#: BSD's EX_CONFIG.
EXIT_CONFIG = 78


def load_or_exit() -> Settings:
    """Read the environment, or end the process with one line on stderr and EXIT_CONFIG."""
    try:
        return load()
    except SettingsInvalid as exc:
        sys.stderr.write(f"bad configuration: {exc}\n")
        raise SystemExit(EXIT_CONFIG) from None
