"""Decides when two payloads are the same job: the key and the fingerprint."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from hashlib import sha256
from secrets import token_hex
from typing import TYPE_CHECKING
from unicodedata import normalize

import orjson

from askonce.canonical import to_json
from askonce.errors import PayloadInvalid
from askonce.job import NO_CHOICE, Fingerprint, Job, JobId, Key, Routing, Shown
from askonce.mistake import name_of
from askonce.spec import MOST_TAGS, TAG_KEPT

if TYPE_CHECKING:
    from askonce.spec import JobSpec

#: Part of every key: raise it when the canonical form changes.
_KEY_LAYOUT = 2
#: Characters of a value that is shown: an id is no longer.
_SHOWN_MAX = 64
#: A model that forbids other fields has an error for each of them.
_MOST_NAMED = 20


def identify(
    spec: JobSpec,
    payload: Mapping[str, object],
    tenant: str = "",
    job_id: str | None = None,
    *,
    run: str = "",
    routing: Routing = NO_CHOICE,
) -> Job:
    """Return the job that *payload* stands for: its normal form is serialised and hashed once.

    *job_id* is drawn at random when it is not given.

    Raises:
        PayloadInvalid: names the field that has no canonical form, or the size.
    """
    if type(payload) is not dict and not isinstance(payload, Mapping):
        raise PayloadInvalid(field="", reason=f"must be an object, not {type(payload).__name__}")
    if spec.input is not None:
        # Fields that the task drops must be JSON too, and are counted.
        _require_room(spec, to_json(payload))
        payload = normal_form(spec.input, payload)
    canonical = to_json(payload, canonical=True)
    _require_room(spec, canonical)
    fingerprint = sha256(canonical).hexdigest()
    identity = identity_of(spec, payload)
    key = _key(tenant, spec.name, spec.version, identity, fingerprint)
    # By position: each row of a group makes one, and names take twice as long.
    return Job(
        key,
        JobId(job_id or token_hex(16)),
        Fingerprint(fingerprint),
        spec.name,
        # A copy of its own size: orjson leaves 4 KiB to each text, and a caller may wait for many jobs.
        b"%b" % canonical,
        spec.version,
        tenant,
        spec.model,
        run,
        routing,
        0,
        _shown_of(spec, payload) if spec.shown else (),
        _tags_of(spec.tags, payload) if spec.tags else (),
    )


def older_keys(spec: JobSpec, job: Job) -> tuple[Key, ...]:
    """Return the keys of the payload of *job* in the older versions that *spec* serves."""
    if not spec.serves_versions:
        return ()
    identity = identity_of(spec, orjson.loads(job.payload)) if spec.key_fields else None
    versions = spec.serves_versions
    return tuple(_key(job.tenant, spec.name, version, identity, job.fingerprint) for version in versions)


def _key(tenant: str, name: str, version: str, identity: bytes | None, fingerprint: str) -> Key:
    # A payload without key fields enters the key as its digest: it is hashed once. A JSON string is never
    # equal to the object that key fields make.
    material = b'"%b"' % fingerprint.encode() if identity is None else identity
    return Key(sha256(b"%b,%b]" % (_prefix(tenant, name, version), material)).hexdigest())


def with_shown(spec: JobSpec, job: Job) -> Job:
    """Return a *job* that a store kept, with what may be shown of its payload.

    Its payload may be damaged, or empty where the store returned none: then nothing of it is shown.
    """
    if not spec.shown or not job.payload:
        return job
    try:
        payload = orjson.loads(job.payload)
    except ValueError:
        return job
    return job._replace(shown=_shown_of(spec, payload)) if isinstance(payload, dict) else job


def _shown_of(spec: JobSpec, payload: Mapping[str, object]) -> Shown:
    """Return the fields of *payload* that may be shown; it has a canonical form."""
    found = [(name, _as_shown(payload.get(name))) for name in spec.shown]
    return tuple([(name, value) for name, value in found if value is not None])


def _tags_of(
    read: Callable[[Mapping[str, object]], Iterable[str]], payload: Mapping[str, object]
) -> tuple[str, ...]:
    """Return the tags that *read*, the ``tags`` of a spec, finds in *payload*, each once.

    Raises:
        PayloadInvalid: it fails, or what it finds can be no tags; never names a value.
    """
    try:
        found = read(payload)
        tags = [] if isinstance(found, str) else list(found)
    except Exception as exc:  # noqa: BLE001  # the app's own code: any error refuses the payload
        raise PayloadInvalid(field="tags", reason=name_of(exc)) from None
    if isinstance(found, str) or not all(type(tag) is str and tag for tag in tags):
        raise PayloadInvalid(field="tags", reason="must be texts in a list or a tuple, none of them empty")
    tags = list(dict.fromkeys(tags))
    if len(tags) > MOST_TAGS:
        raise PayloadInvalid(field="tags", reason=f"are {len(tags)}, more than {MOST_TAGS}")
    if not all(len(tag) <= TAG_KEPT and tag.isprintable() for tag in tags):
        reason = f"must each be one printable line of at most {TAG_KEPT} characters"
        raise PayloadInvalid(field="tags", reason=reason)
    return tuple(tags)


def _as_shown(value: object) -> str | int | None:
    """Return *value* as its record has it; None where it is no id.

    What is too long may be anything, and a part of it too: it is left out, not cut.
    """
    kind = type(value)
    if kind is not str and kind is not int and value is not None:
        # In JSON, a UUID is text.
        value = orjson.loads(to_json(value))
    if type(value) is int:
        return value
    if type(value) is not str or not 0 < len(value) <= _SHOWN_MAX:
        return None
    text = value if value.isascii() else normalize("NFC", value)
    return text if len(text) <= _SHOWN_MAX and text.isprintable() else None


def normal_form(
    read: Callable[[Mapping[str, object]], object], payload: Mapping[str, object]
) -> dict[str, object]:
    """Return what *read*, the ``input`` of a spec, makes of *payload*; null is absent.

    Raises:
        PayloadInvalid: names the field, never a value.
    """
    try:
        found = read(payload)
    except PayloadInvalid:
        raise
    except Exception as exc:  # noqa: BLE001  # the app's own code: any error refuses the payload
        raise _refusal(exc) from None
    dump = getattr(found, "model_dump", None)
    found = dump(mode="json") if callable(dump) else found
    if not isinstance(found, Mapping):
        raise PayloadInvalid(field="", reason=f"input returned {type(found).__name__}, not an object")
    return {name: value for name, value in found.items() if value is not None}


def _refusal(exc: Exception) -> PayloadInvalid:
    if type(exc).__module__.startswith("pydantic"):
        # Its text may quote the payload; the names of its errors do not.
        errors = exc.errors(include_input=False)  # type: ignore[attr-defined]  # the core does not import it
        reasons: dict[str, str] = {}
        for error in errors[:_MOST_NAMED]:
            reasons.setdefault(str(next(iter(error["loc"]), "")), error["type"])
        return PayloadInvalid.of(reasons)
    return PayloadInvalid(field="", reason=name_of(exc))


def _require_room(spec: JobSpec, text: bytes) -> None:
    if len(text) > spec.max_payload_bytes:
        raise PayloadInvalid(field="", reason=f"{len(text)} bytes, more than {spec.max_payload_bytes}")


@lru_cache(maxsize=1024)
def _prefix(tenant: str, name: str, version: str) -> bytes:
    return orjson.dumps([_KEY_LAYOUT, tenant, name, version])[:-1]


def identity_of(spec: JobSpec, payload: Mapping[str, object]) -> bytes | None:
    """Return the canonical JSON of the key fields; None where one is missing, so that the payload counts.

    *payload* is in its normal form.
    """
    fields = {}
    for name in spec.key_fields:
        if payload.get(name) is None:
            return None
        fields[name] = payload[name]
    return to_json(fields, canonical=True) if fields else None
