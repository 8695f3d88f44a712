"""Reads the URLs of more than one server: a cluster, or a primary that sentinels watch.

``redis+cluster://user:password@host:port,host:port`` names some nodes of a cluster,
``sentinel://user:password@host:port;sentinel://host:port/0?master_name=main`` its sentinels, with the login
and the database of the server they watch; ``&sentinel_username=`` and ``&sentinel_password=`` is the login of
the sentinels themselves. ``rediss+cluster://`` and ``rediss+sentinel://`` are the same over TLS.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ssl import SSLCertVerificationError
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from askonce.adapters.redis.refusals import code_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis import Redis

    from askonce.adapters.redis.cluster import ClusterLink, Node

CLUSTER = ("redis+cluster://", "rediss+cluster://")
SENTINEL = ("sentinel://", "rediss+sentinel://")
_DEFAULT_PORTS = {"sentinel": 26379, "rediss+sentinel": 26379}
#: Seconds for each sentinel to connect, and to answer: three that hang cost less than one server that does.
_SENTINEL_PATIENCE = 0.1
_HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(:(?P<port>\d{1,5}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """What such a URL holds; its repr leaves the password out."""

    scheme: str
    nodes: tuple[Node, ...]
    login: str
    database: int
    master_name: str
    #: The login of the sentinels themselves, as redis-py wants it.
    sentinel_credentials: dict[str, str]

    def __repr__(self) -> str:
        return f"Servers({self.place})"

    @property
    def place(self) -> str:
        """The URL without login."""
        if not self.master_name:
            return f"{self.scheme}://{','.join(f'{host}:{port}' for host, port in self.nodes)}"
        nodes = ";".join(f"{self.scheme}://{host}:{port}" for host, port in self.nodes)
        return f"{nodes}/{self.database}?master_name={self.master_name}"

    @property
    def broker_url(self) -> str:
        """The sentinels as kombu wants them; it reads login and database from the first one only.

        kombu gets TLS and the options of the sentinels separately: *is_secure* and *sentinel_options*.
        """
        at = f"{self.login}@" if self.login else ""
        return ";".join(f"sentinel://{at}{host}:{port}/{self.database}" for host, port in self.nodes)

    @property
    def credentials(self) -> dict[str, str]:
        """The login as redis-py wants it."""
        user, _, password = self.login.partition(":")
        return _given({"username": unquote(user), "password": unquote(password)})

    @property
    def is_secure(self) -> bool:
        """Whether all connections use TLS."""
        return self.scheme.startswith("rediss+")

    def sentinel_options(self, tls: Mapping[str, str]) -> dict[str, Any]:
        """Return redis-py's options for the sentinels themselves; *tls* are those with ``ssl_``."""
        secure = {"ssl": True, **tls} if self.is_secure else {}
        return {**self.sentinel_credentials, **secure}


def parse(url: str) -> Servers:
    """Read *url*.

    Raises:
        ValueError: it is none of these; the text does not repeat the URL, which may hold a password.
    """
    scheme, _, rest = url.partition("://")
    rest, _, query = rest.replace(f";{scheme}://", ";").partition("?")
    rest, _, path = rest.removesuffix("/").partition("/")
    sentinel = f"{scheme}://" in SENTINEL
    places = rest.split(";" if sentinel else ",")
    login = places[0].rpartition("@")[0]
    hosts = [_HOST.fullmatch(place.rpartition("@")[2]) for place in places]
    if not all(hosts) or "@" in f"{path}{query}":
        raise ValueError("must name host:port, and have its password percent-encoded")
    options = parse_qs(query)
    names = options.get("master_name", [])
    if sentinel and len(names) != 1:
        raise ValueError("must end in ?master_name=, the name by which the sentinels know the server")
    if not (path or "0").isdigit() or (not sentinel and (path or "0") != "0"):
        raise ValueError("must end in the number of a database, which is 0 in a cluster")
    nodes = tuple(
        (found["host"].strip("[]"), int(found["port"] or _DEFAULT_PORTS.get(scheme, 6379)))
        for found in hosts
        if found
    )
    return Servers(
        scheme=scheme,
        nodes=nodes,
        login=login,
        database=int(path or 0),
        master_name=names[0] if sentinel else "",
        sentinel_credentials=_given(
            {name: options.get(f"sentinel_{name}", [""])[0] for name in ("username", "password")}
        ),
    )


def connect(url: str, options: dict[str, Any]) -> Redis | ClusterLink:
    """Return the connection to the servers of *url*; *options* are those of redis-py's client.

    Raises:
        ValueError: the URL cannot be read.
    """
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    options = {**options, "retry": Retry(NoBackoff(), 0)}
    # A unix socket has no keepalive, and redis-py does not take the option for one.
    options |= {} if url.startswith("unix:") else {"socket_keepalive": True}
    if url.startswith(CLUSTER):
        return _cluster_link(parse(url), options)
    if url.startswith(SENTINEL):
        return _sentinel_client(parse(url), options)
    return Redis.from_url(url, **options)


def place_of(client: Redis) -> str:
    """Return where *client* connects, without its login."""
    to = client.connection_pool.connection_kwargs
    if "path" in to:
        return f"unix://{to['path']}?db={to.get('db', 0)}"
    if "host" not in to:
        return "the primary that the sentinels name"
    return f"redis://{to.get('host')}:{to.get('port')}/{to.get('db', 0)}"


def reason_of(error: Exception) -> str:
    """Return in one word why a server did not answer, or refused (``oom``); never the error's text."""
    cause: BaseException | None = error
    seen = set[int]()
    # An error that is raised again may be in a circle of contexts.
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if isinstance(cause, SSLCertVerificationError):
            return "CertificateRefused"
        cause = cause.__cause__ or cause.__context__
    return code_of(error).lower() or type(error).__name__


def _cluster_link(servers: Servers, options: dict[str, Any]) -> ClusterLink:
    from redis import Redis

    from askonce.adapters.redis.cluster import ClusterLink

    given = {**options, **servers.credentials, "ssl": servers.is_secure}
    return ClusterLink(servers.nodes, lambda node: Redis(host=node[0], port=node[1], **given))


def _sentinel_client(servers: Servers, options: dict[str, Any]) -> Redis:
    """Return a client of the primary, wherever the sentinels say that it is when it connects."""
    from redis.sentinel import Sentinel

    patience = {"socket_timeout": _SENTINEL_PATIENCE, "socket_connect_timeout": _SENTINEL_PATIENCE}
    tls = {name: value for name, value in options.items() if name.startswith("ssl_")}
    sentinel_kwargs = {"retry": options["retry"], **patience, **servers.sentinel_options(tls)}
    sentinels: Any = Sentinel(servers.nodes, sentinel_kwargs=sentinel_kwargs)  # type: ignore[no-untyped-call]  # redis-py
    client: Redis = sentinels.master_for(
        servers.master_name, db=servers.database, ssl=servers.is_secure, **options, **servers.credentials
    )
    return client


def _given(options: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in options.items() if value}
