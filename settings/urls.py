"""Reads the variables of the store and of the broker: their URLs and their TLS files."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import SplitResult, parse_qs, quote, urlsplit

from pydantic import BeforeValidator, Field, FilePath, SecretStr, field_validator, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from askonce.adapters.redis.servers import CLUSTER, SENTINEL, Servers, parse


def _read_password(path: str) -> str:
    try:
        password = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        password = ""
    if not password:
        raise ValueError("must name a readable file that holds a password")
    return password


def _refuse_service_link(port: object) -> object:
    if isinstance(port, str) and port.startswith("tcp://"):
        raise ValueError(
            "is no port, but what Kubernetes sets for a Service named redis; "
            "set enableServiceLinks: false in the pod, or REDIS_PORT yourself"
        )
    return port


PasswordInFile = Annotated[SecretStr, BeforeValidator(_read_password)]
Port = Annotated[int, Field(gt=0, lt=65536), BeforeValidator(_refuse_service_link)]


class ServerSettings(BaseSettings):
    """Where records and messages go; the field name in upper case is the variable's name."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_ignore_empty=True)

    redis_url: SecretStr | None = None
    redis_host: str = "127.0.0.1"
    redis_port: Port = 6379
    redis_db: Annotated[int, Field(ge=0)] = 0
    redis_username: str | None = None
    redis_password: SecretStr | None = None
    #: What the file holds: it is read once, so another password needs a restart, as another user does.
    redis_password_file: PasswordInFile | None = None
    redis_ssl: bool = False
    redis_ssl_ca_certs: FilePath | None = None
    redis_ssl_certfile: FilePath | None = None
    redis_ssl_keyfile: FilePath | None = None
    celery_broker_url: SecretStr | None = None
    namespace: Annotated[str, Field(alias="ASKONCE_NAMESPACE", pattern=r"^[A-Za-z0-9_.-]{1,40}$")] = "jobs"

    @field_validator("redis_url")
    @classmethod
    def _has_a_known_scheme(cls, url: SecretStr | None) -> SecretStr | None:
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
            raise ValueError("must be one server or sentinels: a cluster cannot carry Celery's messages")
        return url

    @field_validator("redis_url", "celery_broker_url")
    @classmethod
    def _has_its_password_encoded(cls, url: SecretStr | None) -> SecretStr | None:
        # An unencoded / # or ? in a password ends the host. The rest would be read, and shown, as a port.
        if url is not None and url.get_secret_value().startswith(("redis://", "rediss://")):
            parts = urlsplit(url.get_secret_value())
            if "@" in f"{parts.path}{parts.query}{parts.fragment}" or not _has_port(parts):
                raise ValueError("must have a port from 1 to 65535, and its password percent-encoded")
        return url

    @model_validator(mode="after")
    def _has_a_broker(self) -> Self:
        if self.celery_broker_url is None and self.store_url().startswith(CLUSTER):
            raise PydanticCustomError(
                "broker",
                "CELERY_BROKER_URL: must be set, because REDIS_URL is a cluster, which carries records only",
            )
        return self

    def store_url(self) -> str:
        """Return the URL of the store."""
        if self.redis_url is not None:
            return self.redis_url.get_secret_value()
        scheme = "rediss" if self.redis_ssl else "redis"
        user, secret = self.redis_username or "", self.redis_password or self.redis_password_file
        password = secret.get_secret_value() if secret else ""
        login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user or password else ""
        return f"{scheme}://{login}{self.redis_host}:{self.redis_port}/{self.redis_db}"

    def broker_url(self) -> str:
        """Return the broker's URL in kombu's form: the store's server unless CELERY_BROKER_URL is set."""
        sentinels = self.broker_sentinels()
        if sentinels is not None:
            return sentinels.broker_url
        if self.celery_broker_url is not None:
            return self.celery_broker_url.get_secret_value()
        parts = urlsplit(self.store_url())
        if parts.scheme != "unix":
            return self.store_url()
        # kombu has its own form of URL for a unix socket.
        database = parse_qs(parts.query).get("db", ["0"])[0]
        return f"redis+socket://{parts.path}?virtual_host={database}"

    def broker_sentinels(self) -> Servers | None:
        """Return the sentinels of the broker, or None for a broker without sentinels."""
        given = self.celery_broker_url
        url = given.get_secret_value() if given is not None else self.store_url()
        return parse(url) if url.startswith(SENTINEL) else None

    def store_tls(self) -> dict[str, str]:
        """Return redis-py's TLS options for the store; empty for a URL without TLS."""
        return self._tls() if self.store_url().startswith("rediss") else {}

    def broker_tls(self) -> dict[str, Any]:
        """Return the TLS options for the broker; empty for a URL without TLS."""
        url, sentinels = self.broker_url(), self.broker_sentinels()
        if url.startswith("amqps://"):
            # py-amqp has its own option names.
            given = {name.removeprefix("ssl_"): value for name, value in self._tls().items()}
            return given | {"cert_reqs": ssl.CERT_REQUIRED}
        return self._tls() if url.startswith("rediss://") or (sentinels and sentinels.is_secure) else {}

    def _tls(self) -> dict[str, str]:
        given = {
            "ssl_ca_certs": self.redis_ssl_ca_certs,
            "ssl_certfile": self.redis_ssl_certfile,
            "ssl_keyfile": self.redis_ssl_keyfile,
        }
        # redis-py's default, set so that no later default turns the server's verification off.
        return {"ssl_cert_reqs": "required", **{name: str(path) for name, path in given.items() if path}}


def _has_port(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:
        return False
