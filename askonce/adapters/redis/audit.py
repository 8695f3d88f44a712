"""Keeps the audit on Redis: one stream, in the slot of bucket 0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from redis.exceptions import RedisError

from askonce.audit import ACTS, ENTRIES_KEPT, ENTRIES_KEPT_FOR, PART_KEPT, Entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from askonce.adapters.redis.scripts import Scripts
    from askonce.audit import Act

#: Entries in one reply of the server.
_PAGE = 1_000


class RedisAudit:
    """The audit of one namespace."""

    def __init__(self, scripts: Scripts) -> None:
        """Use the link and the keys of *scripts*."""
        self._scripts, self._key = scripts, scripts.bucket_key(0, "audit")

    def note(self, entry: Entry) -> None:
        """Keep *entry*."""
        parts = {"who": entry.who, "act": entry.act, "what": entry.what, "note": entry.note}
        flat = [word for name, text in parts.items() for word in (name, text[:PART_KEPT])]
        self._send(
            ("XADD", self._key, "MAXLEN", "~", ENTRIES_KEPT, "*", *flat),
            ("PEXPIRE", self._key, int(ENTRIES_KEPT_FOR * 1000)),
        )

    def entries(self, since: float = 0.0) -> Iterator[Entry]:
        """Yield the entries since then, the oldest first."""
        after, page = str(int(max(since, 0.0) * 1000)), [None] * _PAGE
        while len(page) == _PAGE:
            [page] = self._send(("XRANGE", self._key, after, "+", "COUNT", _PAGE))
            yield from (entry for each in page if (entry := _entry(each)) is not None)
            after = f"({page[-1][0].decode()}" if page else after

    def _send(self, *commands: tuple[Any, ...]) -> list[Any]:
        replies = self._scripts.send("audit", *commands)
        for reply in replies:
            if isinstance(reply, RedisError):
                raise self._scripts.unavailable("audit", self._key, reply) from reply
        return replies


def _entry(kept: Any) -> Entry | None:  # noqa: ANN401  # as the server answers: id, flat fields
    """Return one entry; None for one that something else wrote."""
    number, flat = kept
    parts = {
        flat[i].decode(errors="replace"): flat[i + 1].decode(errors="replace") for i in range(0, len(flat), 2)
    }
    if parts.keys() != {"who", "act", "what", "note"} or parts["act"] not in ACTS:
        return None
    return Entry(
        who=parts["who"],
        act=cast("Act", parts["act"]),
        what=parts["what"],
        note=parts["note"],
        at=int(number.partition(b"-")[0]) / 1000,
    )
