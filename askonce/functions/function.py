"""One cached function: from its arguments to its answer, in a thread or on a loop."""

from __future__ import annotations

from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any

from askonce.answer import decode
from askonce.errors import AnswerUnreadable, JobError, LayoutNewer, RecordDamaged, StoreUnavailable
from askonce.events import EventType, emit
from askonce.functions.arguments import Arguments, again
from askonce.functions.ask import Ask
from askonce.functions.found import Found, found_in
from askonce.functions.loops import done
from askonce.store import Write

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.answer import Result
    from askonce.functions.process import Process
    from askonce.functions.times import Times
    from askonce.job import Job, Key
    from askonce.spec import JobSpec
    from askonce.store_down.cache import Entry, LocalCache

#: Seconds after which a hit is kept again for the time when the store is away.
_KEPT_FOR = 30.0
#: Positional and named arguments.
Args = tuple[object, ...]
Named = dict[str, Any]


class Function:
    """A function, its terms, and the process that answers its calls."""

    def __init__(
        self,
        function: Callable[..., Any],
        arguments: Arguments,
        times: Times,
        process: Callable[[], Process],
        new_spec: Callable[[], JobSpec],
    ) -> None:
        """Answer in what *process* returns, on the terms that *new_spec* returns in each process."""
        self._function, self._arguments, self._times = function, arguments, times
        self._process, self._new_spec = process, new_spec
        self._local_ttl = times.local_ttl
        self._of: tuple[Process, JobSpec] | None = None
        #: One that came from this process is made a Found when somebody looks.
        self._last: ContextVar[Found | tuple[LocalCache, Key, Entry] | None] = ContextVar(
            f"askonce_last_{arguments.name}", default=None
        )

    def call(self, args: Args, kwargs: Named) -> Any:  # noqa: ANN401  # what the function returns
        """Return the answer."""
        process, spec = self._bound()
        job, away = self._arguments.job_of(spec, args, kwargs), None
        recent = self._recent(process, job) if self._local_ttl else None
        if recent is not None:
            return decode(recent.value.data)
        found, away, value = self._hit(process, spec, job)
        if found is None:
            ask = self._ask(process, spec, job, partial(self._function, *args, **kwargs))
            found = found_in(process.threads.go(process.answering.answer(ask, away)))
            value = found.value()
        self._last.set(found)
        return value

    async def call_on_loop(self, args: Args, kwargs: Named) -> Any:  # noqa: ANN401
        """Return the answer of an async function."""
        process, spec = self._bound()
        job, away = self._arguments.job_of(spec, args, kwargs), None
        recent = self._recent(process, job) if self._local_ttl else None
        if recent is not None:
            return decode(recent.value.data)
        # Callers that ask together share the reply, and no value.
        looking = process.loops.ask(partial(self._hit, process, spec, job), ("hit", job.key))
        found, away, _ = await done(looking)
        if found is None:
            ask = self._ask(process, spec, job, partial(self._function, *args, **kwargs))
            found = found_in(await process.loops.go(process.answering.answer(ask, away)))
        self._last.set(found)
        return found.value()

    def refresh(self, *args: object, **kwargs: Any) -> Any:  # noqa: ANN401
        """Make the answer anew."""
        process, ask = self._forced(args, kwargs)
        found = found_in(process.threads.go(process.answering.answer(ask)))
        self._last.set(found)
        return found.value()

    async def refresh_on_loop(self, *args: object, **kwargs: Any) -> Any:  # noqa: ANN401
        """Make the answer of an async function anew."""
        process, ask = self._forced(args, kwargs)
        found = found_in(await process.loops.go(process.answering.answer(ask)))
        self._last.set(found)
        return found.value()

    def invalidate(self, *args: object, **kwargs: object) -> bool:
        """Forget the answer, here and on the store."""
        process, spec = self._bound()
        return self._invalidate(process, self._arguments.job_of(spec, args, kwargs).key)

    async def invalidate_on_loop(self, *args: object, **kwargs: object) -> bool:
        """Forget the answer of an async function."""
        process, spec = self._bound()
        key = self._arguments.job_of(spec, args, kwargs).key
        return bool(await done(process.loops.ask(partial(self._invalidate, process, key))))

    def cache_key(self, *args: object, **kwargs: object) -> Key:
        """Return the key of the answer."""
        return self._arguments.job_of(self._bound()[1], args, kwargs).key

    def last(self) -> Result | None:
        """Return the last answer in this context."""
        last = self._last.get()
        if last is None or isinstance(last, Found):
            return None if last is None else last.result()
        cache, key, recent = last
        since = cache.seconds(recent)
        return Found(key, recent.job, recent.value.data, "cache", recent.value, since).result()

    def _bound(self) -> tuple[Process, JobSpec]:
        process = self._process()
        if self._of is None or self._of[0] is not process:
            if self._local_ttl:
                process.hearing.start()
            self._of = process, self._new_spec()
        return self._of

    def _recent(self, process: Process, job: Job) -> Entry | None:
        """Return an answer that this process has for no longer than the function allows, and count it."""
        recent = process.cache.recent(job.key, job.fingerprint, self._local_ttl)
        if recent is not None:
            process.recent_hits.count((job, recent.value))
            self._last.set((process.cache, job.key, recent))
        return recent

    def _hit(self, process: Process, spec: JobSpec, job: Job) -> tuple[Found | None, JobError | None, object]:
        """Return the answer of the store and its value, or why the store cannot be asked.

        It is fresh, or stale and made anew by another call.

        One round trip.
        """
        asked = process.cache.epoch
        try:
            kept = process.store.hit(job, spec.stale_while_revalidate)
            value = None if kept is None else decode(kept.data)
        except (StoreUnavailable, RecordDamaged, LayoutNewer) as away:
            return None, away, None
        except AnswerUnreadable:
            # The way that admits knows what that means.
            return None, None, None
        if process.patience.since is not None:
            process.patience.answered()
        if kept is None:
            return None, None, None
        if kept.fresh_for <= 0:
            emit(
                process.listen, EventType.JOB_STALE, job, age_seconds=kept.age, stale_seconds=-kept.fresh_for
            )
            return Found(job.key, kept.job, kept.data, "stale", kept), None, value
        emit(process.listen, EventType.JOB_HIT, job, age_seconds=kept.age)
        if self._local_ttl or not process.cache.has(job.key, kept.fence, _KEPT_FOR):
            process.cache.put(job.key, job.fingerprint, kept.job, kept, kept.fresh_for, asked=asked)
        return Found(job.key, kept.job, kept.data, "cache", kept), None, value

    def _ask(
        self, process: Process, spec: JobSpec, job: Job, call: Callable[[], Any], *, force: bool = False
    ) -> Ask:
        return Ask(
            name=self._arguments.name,
            spec=spec,
            job=again(job),
            call=call,
            codec=process.codec,
            epoch=process.cache.epoch,
            force=force,
        )

    def _forced(self, args: Args, kwargs: Named) -> tuple[Process, Ask]:
        process, spec = self._bound()
        job = self._arguments.job_of(spec, args, kwargs)
        return process, self._ask(process, spec, job, partial(self._function, *args, **kwargs), force=True)

    def _invalidate(self, process: Process, key: Key) -> bool:
        process.cache.invalidate((key,))
        written = process.store.invalidate(key)
        # A caller that asked before may have kept the old answer meanwhile.
        process.cache.invalidate((key,))
        return written is Write.OK
