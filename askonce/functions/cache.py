"""Makes functions cached ones, on one store: ``@cache.cached_json("forecast")``."""

from __future__ import annotations

import atexit
import inspect
import os
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from math import nan
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack, cast

from askonce.answer import Codec
from askonce.functions.arguments import Arguments
from askonce.functions.function import Function
from askonce.functions.origin import Origin
from askonce.functions.process import Process
from askonce.functions.times import Times
from askonce.functions.values import Values
from askonce.job import FUNCTIONS
from askonce.kinds import KINDS
from askonce.log import log_event
from askonce.spec import LONGEST, LONGEST_LEASE, SHORTEST
from askonce.store_down.cache import LocalCache

if TYPE_CHECKING:
    from askonce.events import Listener
    from askonce.functions.wrapped import Decorator
    from askonce.spec import JobSpec
    from askonce.store import Store

#: Seconds that a process waits at its end for a store that is down to accept its last answers.
_DRAIN = 5.0
_NAMESPACE_MOST = 100
#: What an option must be that is no number.
_TYPES: Final[tuple[tuple[str, Any, str], ...]] = (
    ("ttl", Mapping, 'the seconds of each kind, such as {"forecast": 600}'),
    ("listen", Callable, "a function"),
    ("codec", Codec, "a Codec"),
    ("local_cache", Callable, "a function that returns a LocalCache"),
)


class Options(TypedDict, total=False):
    """How a FunctionCache works; each may be left out."""

    #: Seconds of each kind, such as ``{"forecast": 1800}``; ``KINDS`` has the others.
    ttl: Mapping[str, float]
    #: Gets every event; by default each is a line of the log.
    listen: Listener
    codec: Codec
    #: Keeps answers in a process: while the store is away, and for functions with a ``local_ttl``.
    local_cache: Callable[[], LocalCache]
    #: Seconds for which a process that was killed holds up the keys whose functions it ran; 30.
    lease: float
    #: Seconds after which a store that does not answer is away, so that functions run without it; 2.
    patience: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Terms:
    """What a FunctionCache was configured with."""

    connect: Callable[[], Store]
    kinds: Mapping[str, float]
    listen: Listener
    codec: Codec
    local_cache: Callable[[], LocalCache]
    lease: float
    patience: float


class FunctionCache:
    """Cached functions and values on one store; safe for threads, loops and forks."""

    def __init__(self, store: Store | Callable[[], Store] | None = None, **options: Unpack[Options]) -> None:
        """Use *store*, with the *options* of ``configure``; without one, ``configure`` follows."""
        self._terms: _Terms | None = None
        self._process: Process | None = None
        self._lock = Lock()
        self._origins: dict[str, Origin] = {}
        self._options = _checked_options(options)
        if store is not None:
            self.configure(store)
        me = weakref.ref(self)
        # A child must not wait for a lock that another thread of its parent held.
        os.register_at_fork(after_in_child=lambda: _forget(me()))
        atexit.register(lambda: _drain(me()))

    def configure(self, store: Store | Callable[[], Store], **options: Unpack[Options]) -> None:
        """Keep answers on *store*, or on what it returns once in each process; see ``Options``.

        Raises:
            ValueError: *store* is neither, an option or a kind of ``ttl`` is unknown, or it cannot work.
        """
        _require_store(store)
        options = {**self._options, **_checked_options(options)}
        self.close()
        connect = store if callable(store) else lambda: store
        kinds = {**KINDS, **options.get("ttl", {})}
        with self._lock:
            self._terms = _Terms(
                connect=connect,
                kinds=kinds,
                listen=options.get("listen", log_event),
                codec=options.get("codec", Codec()),
                local_cache=options.get("local_cache", LocalCache),
                lease=options.get("lease", 30.0),
                patience=options.get("patience", 2.0),
            )

    def cached_json(
        self,
        namespace: str,
        *,
        ttl: float | None = None,
        keep: float | None = None,
        stale_while_revalidate: float = 0.0,
        stale_if_error: float | None = None,
        local_ttl: float = 0.0,
        ignore: tuple[str, ...] = (),
        version: str = "1",
    ) -> Decorator:
        """Return a decorator that keeps what a function returns, as JSON, by its arguments.

        Times are in seconds. An answer is fresh for *ttl*, by default that of the namespace's kind, and kept
        for *keep*. After its ``ttl`` it is served for *stale_while_revalidate* while one call makes it anew,
        and for *stale_if_error*, by default until *keep*, when the call fails. A process may answer by itself
        for *local_ttl*. Arguments of the names in *ignore* make no other key. Another *version* makes other
        keys.

        Raises:
            ValueError: an argument cannot work, or another function has the namespace.
        """
        _require_namespace(namespace)
        _require_names(namespace, ignore)
        if not isinstance(version, str) or not version:
            raise ValueError(f"cached_json({namespace!r}): version must be text, not {version!r}")

        def decorate(function: Callable[..., Any]) -> object:
            arguments = _arguments_of(function, ignore)
            times = Times(
                function=arguments.name,
                ttl=ttl,
                keep=keep,
                stale_while_revalidate=stale_while_revalidate,
                stale_if_error=stale_if_error,
                local_ttl=local_ttl,
            )
            self._claim(namespace, function)

            def new_spec() -> JobSpec:
                terms = self._configured()
                return times.spec(f"{FUNCTIONS}{namespace}", version, terms.kinds, namespace, terms.lease)

            made = Function(function, arguments, times, self.process, new_spec)
            return _wrapped(function, made)

        return cast("Decorator", decorate)

    def get_cache(self, namespace: str) -> Values:
        """Return the values that are kept under *namespace* by keys of one's own.

        Raises:
            ValueError: *namespace* is no printable line.
        """
        _require_namespace(namespace)
        return Values(namespace, self.process, lambda: self._configured().kinds)

    def process(self) -> Process:
        """Return what this process works with, built at its first use.

        Raises:
            RuntimeError: no store was configured.
        """
        process = self._process
        if process is None:
            with self._lock:
                process = self._process = self._process or self._build()
        return process

    def _build(self) -> Process:
        terms = self._configured()
        return Process(terms.connect(), terms.local_cache(), terms.codec, terms.listen, terms.patience)

    def _configured(self) -> _Terms:
        if self._terms is None:
            raise RuntimeError("cached functions have no store: call askonce.functions.configure(store)")
        return self._terms

    def _claim(self, namespace: str, function: Callable[..., Any]) -> None:
        origin = Origin.of(function)
        taken = self._origins.setdefault(namespace, origin)
        if not taken.is_same(origin):
            other, mine = f"{taken.module}.{taken.name}", f"{origin.module}.{origin.name}"
            raise ValueError(f"{mine}: {other} has the namespace {namespace!r}; each function needs its own")

    def close(self, timeout: float = _DRAIN) -> None:
        """Wait at most *timeout* seconds until the store has what is to be kept; a later call begins anew.

        A process does so at its end.
        """
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.close(timeout)

    def forget(self) -> None:
        """Begin anew in a forked child."""
        self._process, self._lock = None, Lock()


def _forget(cache: FunctionCache | None) -> None:
    if cache is not None:
        cache.forget()


def _drain(cache: FunctionCache | None) -> None:
    if cache is not None:
        cache.close()


def _require_namespace(namespace: object) -> None:
    if isinstance(namespace, str) and 0 < len(namespace) <= _NAMESPACE_MOST and namespace.isprintable():
        return
    raise ValueError(f"namespace must be one printable line of at most {_NAMESPACE_MOST} characters")


def _require_store(store: object) -> None:
    if not callable(store) and not hasattr(store, "admit"):
        # Its type alone: the URL of a server may have a password.
        needed = "a store, such as RedisStore.from_url(...), or a function that returns one"
        raise ValueError(f"store must be {needed}, not {type(store).__name__}")


def _require_names(namespace: str, ignore: object) -> None:
    if not isinstance(ignore, tuple) or not all(isinstance(each, str) for each in ignore):
        raise ValueError(f'cached_json({namespace!r}): ignore must be a tuple of names, such as ("service",)')


def _checked_options(options: Options) -> Options:
    """Refuse by its name what cannot work."""
    if unknown := sorted(options.keys() - Options.__annotations__.keys()):
        raise ValueError(f"option {unknown[0]!r} is unknown; there are {', '.join(Options.__annotations__)}")
    given: Mapping[str, object] = {**options}
    for name, kind, what in _TYPES:
        if name in given and not isinstance(given[name], kind):
            raise ValueError(f"{name} must be {what}, not {given[name]!r}")
    for name, least, most in (("lease", SHORTEST, LONGEST_LEASE), ("patience", 0.0, LONGEST)):
        seconds = options.get(name, least)
        if not least <= _number(seconds) <= most:
            raise ValueError(f"{name} must be {least:g} to {most:.0f} seconds, not {seconds!r}")
    _require_kinds(options.get("ttl", {}))
    return options


def _number(seconds: object) -> float:
    """Return *seconds*; what is no number is within no limits, as NaN is."""
    return seconds if isinstance(seconds, int | float) and not isinstance(seconds, bool) else nan


def _require_kinds(ttl: Mapping[str, float]) -> None:
    for kind, seconds in ttl.items():
        if kind not in KINDS:
            raise ValueError(f"ttl names {kind!r}; the kinds are {', '.join(KINDS)}")
        if not SHORTEST <= _number(seconds) <= LONGEST:
            raise ValueError(f"ttl of {kind} must be {SHORTEST:g} to {LONGEST:.0f} seconds, not {seconds!r}")


def _arguments_of(function: Callable[..., Any], ignore: tuple[str, ...]) -> Arguments:
    if isinstance(function, staticmethod | classmethod) or not hasattr(function, "__qualname__"):
        kind = type(function).__name__
        raise ValueError(
            f"cached_json needs a function, not {kind}: put it below other decorators"
        )  # as every refusal here
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ValueError(f"{function.__module__}.{function.__qualname__}: a generator cannot be cached")
    return Arguments(function, ignore)


def _wrapped(function: Callable[..., Any], made: Function) -> object:
    """Return a real function, so that frameworks and classes treat it as the one that it wraps."""
    wrapper: Any
    call = made.call
    if inspect.iscoroutinefunction(function):

        @wraps(function)
        async def answered(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # the function's own
            return await made.call_on_loop(args, kwargs)

        wrapper = answered
        wrapper.invalidate, wrapper.refresh = made.invalidate_on_loop, made.refresh_on_loop
    else:

        @wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            return call(args, kwargs)

        wrapper = called
        wrapper.invalidate, wrapper.refresh = made.invalidate, made.refresh
    wrapper.cache_key, wrapper.last = made.cache_key, made.last
    return wrapper
