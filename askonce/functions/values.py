"""Values under keys of one's own, as other caches keep them: ``get``, ``set``, ``delete``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from askonce.answer import Encoded, Meta, Ttl, decode
from askonce.errors import JobError, PayloadInvalid, ValueInvalid
from askonce.functions.times import Times
from askonce.job import VALUES
from askonce.key import identify
from askonce.spec import JobSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from askonce.functions.process import Process
    from askonce.job import Job

_COUNTED = ("hits", "misses", "sets", "deletes", "errors")


class Values:
    """JSON values of one namespace. While the store is away there are none, and nothing is kept."""

    def __init__(
        self, namespace: str, process: Callable[[], Process], kinds: Callable[[], Mapping[str, float]]
    ) -> None:
        """Keep values of *namespace*, for as long as *kinds* has for it."""
        self.namespace, self._process, self._kinds = namespace, process, kinds
        self._name = f"{VALUES}{namespace}"
        #: Only names the values: their times are those of each ``set``.
        self._spec = JobSpec(name=self._name, on_store_down="fail")

    def get(self, key: str) -> object:
        """Return the value of *key*, an object of one's own; None where there is none."""
        job = self._job(key)
        try:
            kept = self._process().store.hit(job)
            value = None if kept is None else decode(kept.data)
        except JobError:
            self._count("errors", "misses")
            return None
        self._count("misses" if kept is None else "hits")
        return value

    def set(self, key: str, value: object, ttl: float | None = None) -> bool:
        """Keep *value* for *ttl* seconds, by default those of the namespace; return whether it is kept.

        The last one that is set wins. A reader never gets a part of one.

        Raises:
            PayloadInvalid: *key* is no text.
            ValueInvalid: *value* has no JSON form, or is too large.
            ValueError: *ttl* cannot work.
        """
        name = f"get_cache({self.namespace!r}).set"
        times = Times(function=name, ttl=ttl)
        spec = times.spec(self._name, "1", self._kinds(), self.namespace)
        job = self._job(key)
        try:
            answer = Encoded(self._process().codec.encode(value, spec.max_value_bytes), Meta().encode())
        except ValueInvalid as invalid:
            raise ValueInvalid({**invalid.data, "function": name}) from None
        try:
            written = self._process().store.put(job, answer, Ttl(spec.soft_ttl, spec.hard_ttl))
        except JobError:
            self._count("errors")
            return False
        self._count("sets" if written else "errors")
        return written

    def delete(self, key: str) -> bool:
        """Forget the value of *key*; return whether there was one."""
        process, job = self._process(), self._job(key)
        try:
            forgotten = process.store.read([job.key])[0].value is not None
            process.store.invalidate(job.key)
        except JobError:
            self._count("errors")
            return False
        self._count("deletes")
        return forgotten

    def get_metrics(self) -> dict[str, float]:
        """Return what this process did here: counts, and the share of hits among all gets."""
        process = self._process()
        with process.counting:
            counts = {name: process.counted[self.namespace, name] for name in _COUNTED}
        asked = counts["hits"] + counts["misses"]
        return {**counts, "total_requests": asked, "hit_rate": counts["hits"] / asked if asked else 0.0}

    def health_check(self) -> dict[str, object]:
        """Ask the store for nothing; return its state and the milliseconds that it took to answer."""
        store, began = self._process().store, time.perf_counter()
        about = {"backend": type(store).__name__.removesuffix("Store").lower(), "namespace": self.namespace}
        try:
            store.read([self._job("health_check").key])
        except JobError as error:
            return {"status": "unhealthy", **about, "latency_ms": None, "error": str(error)}
        return {"status": "healthy", **about, "latency_ms": round(1000 * (time.perf_counter() - began), 3)}

    def _job(self, key: object) -> Job:
        if not isinstance(key, str):
            where = f"get_cache({self.namespace!r})"
            raise PayloadInvalid(
                field="key", reason=f"must be text, not {type(key).__name__}", function=where
            )
        return identify(self._spec, {"key": key})

    def _count(self, *names: str) -> None:
        process = self._process()
        with process.counting:
            process.counted.update((self.namespace, name) for name in names)
