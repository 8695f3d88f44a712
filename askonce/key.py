"""Decides when two payloads are the same job: the key and the fingerprint."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from secrets import token_hex
from typing import TYPE_CHECKING

import orjson

from askonce.canonical import to_json
from askonce.errors import PayloadInvalid
from askonce.job import Fingerprint, Job, JobId, Key

if TYPE_CHECKING:
    from askonce.spec import JobSpec

#: Part of every key: raise it when the canonical form changes.
_KEY_LAYOUT = 1


def identify(
    spec: JobSpec, payload: Mapping[str, object], tenant: str = "", job_id: str | None = None
) -> Job:
    """Return the job that *payload* stands for; the payload is serialised and hashed once.

    *job_id* is drawn at random when it is not given.

    Raises:
        PayloadInvalid: names the field that has no canonical form, or the size.
    """
    if type(payload) is not dict and not isinstance(payload, Mapping):
        raise PayloadInvalid(field="", reason=f"must be an object, not {type(payload).__name__}")
    canonical = to_json(payload, canonical=True)
    if len(canonical) > spec.max_payload_bytes:
        raise PayloadInvalid(field="", reason=f"{len(canonical)} bytes, more than {spec.max_payload_bytes}")
    if spec.validate is not None:
        spec.validate(payload)
    fingerprint = sha256(canonical).hexdigest()
    identity = identity_of(spec, payload)
    # A payload without key fields enters the key as its digest: it is hashed once. A JSON string is never
    # equal to the object that key fields make.
    material = b'"%b"' % fingerprint.encode() if identity is None else identity
    key = sha256(b"%b,%b]" % (_prefix(tenant, spec.name, spec.version), material)).hexdigest()
    return Job(
        key=Key(key),
        id=JobId(job_id or token_hex(16)),
        fingerprint=Fingerprint(fingerprint),
        task=spec.name,
        payload=canonical,
        version=spec.version,
        tenant=tenant,
        model=spec.model,
    )


@lru_cache(maxsize=1024)
def _prefix(tenant: str, name: str, version: str) -> bytes:
    return orjson.dumps([_KEY_LAYOUT, tenant, name, version])[:-1]


def identity_of(spec: JobSpec, payload: Mapping[str, object]) -> bytes | None:
    """Return the canonical JSON of the key fields; None where one is missing, so that the payload counts."""
    fields = {}
    for name in spec.key_fields:
        if payload.get(name) is None:
            return None
        fields[name] = payload[name]
    return to_json(fields, canonical=True) if fields else None
