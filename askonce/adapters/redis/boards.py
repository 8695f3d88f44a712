"""Keeps boards on Redis: one HASH for each, and a sorted set of their names, in the slot of bucket 0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from askonce.board import BOARD_KEPT, Seen
from askonce.errors import RecordDamaged, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from askonce.adapters.redis.scripts import Scripts

_KEPT = int(BOARD_KEPT * 1000)


class RedisBoards:
    """The boards of one namespace."""

    def __init__(self, scripts: Scripts) -> None:
        """Use the link and the keys of *scripts*."""
        self._scripts, self._list = scripts, scripts.bucket_key(0, "boards")

    def exchange(self, name: str, member: str, note: bytes, ttl: float) -> Seen:
        """Keep *note* for *ttl* seconds in place of the member's last one; return the board."""
        keys = self._key(name), self._list
        now, version, state, *flat = self._run("exchange", keys, member, note, int(ttl * 1000), name, _KEPT)
        notes = {flat[i].decode(errors="replace"): flat[i + 1] for i in range(0, len(flat), 2)}
        return Seen(now / 1000, int(version), state, notes)

    def propose(self, name: str, version: int, state: bytes) -> bool:
        """Replace the state that has *version*; return whether it still had that."""
        return bool(self._run("propose", (self._key(name),), version, state, _KEPT))

    def states(self) -> Mapping[str, bytes]:
        """Return the state of each board, by its name."""
        [names] = self._scripts.send("exchange", ("ZRANGE", self._list, 0, -1))
        if not isinstance(names, list) or not names:
            return {}
        asked = [("HGET", self._key(name.decode()), "state") for name in names]
        found = zip(names, self._scripts.send("exchange", *asked), strict=True)
        return {name.decode(): state for name, state in found if isinstance(state, bytes)}

    def _key(self, name: str) -> str:
        return f"{self._list}:{name}"

    def _run(self, verb: str, keys: tuple[str, ...], *args: bytes | str | int) -> Any:  # noqa: ANN401  # as the script returns
        try:
            return self._scripts.run_all(verb, [(keys, args)])[0]
        except RecordDamaged as damaged:
            # No record, but a board for all: without it the store is of no use here.
            raise StoreUnavailable(verb=verb, reason=damaged.reason) from None
