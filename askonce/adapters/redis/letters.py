"""Keeps dead letters on Redis: ``...:dead`` beside each bucket's index, and one stream of dead messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from askonce.adapters.redis.reply import to_dead_job
from askonce.job import Key
from askonce.letters import BODY_KEPT, MESSAGES_KEPT, MESSAGES_KEPT_FOR, DeadJob, DeadMessage
from askonce.record import BUCKETS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.adapters.redis.scripts import Call, Scripts

#: Dead messages in one reply of the server: some have a quarter of a megabyte.
_PAGE = 50


class RedisLetters:
    """The dead letters of one namespace."""

    def __init__(self, scripts: Scripts) -> None:
        """Use the link and the keys of *scripts*."""
        self._scripts = scripts

    def dead_jobs(self) -> list[tuple[Key, float]]:
        """Return (key, kept until) of every quarantined job, the oldest first."""
        calls: list[Call] = [((self._scripts.bucket_key(bucket, "dead"),), ()) for bucket in range(BUCKETS)]
        found = [
            (float(until) / 1000, Key(key.decode()))
            for reply in self._scripts.run_all("dead", calls)
            for key, until in zip(reply[::2], reply[1::2], strict=True)
        ]
        return [(key, until) for until, key in sorted(found)]

    def show(self, keys: Sequence[Key], *, payload: bool = False) -> list[DeadJob | None]:
        """Return quarantined jobs; None for a key that is not."""
        calls: list[Call] = [(self._dead_keys(key), (int(payload),)) for key in keys]
        replies = self._scripts.run_each("show", calls)
        return [to_dead_job(key, reply) for key, reply in zip(keys, replies, strict=True)]

    def keep(self, message: DeadMessage) -> None:
        """Keep *message*, cut to BODY_KEPT."""
        fields: dict[str, bytes | str | int] = {
            "reason": message.reason,
            "task": message.task,
            "job": message.job,
            "queue": message.queue,
            "about": message.about,
            "body": message.body[:BODY_KEPT],
            "size": message.size or len(message.body),
        }
        flat = [item for pair in fields.items() for item in pair]
        name = self._scripts.letters_key
        self._send(
            ("XADD", name, "MAXLEN", "~", MESSAGES_KEPT, "*", *flat),
            ("PEXPIRE", name, int(MESSAGES_KEPT_FOR * 1000)),
        )

    def dead_messages(self) -> list[DeadMessage]:
        """Return every dead message, the oldest first."""
        found: list[DeadMessage] = []
        page, after = [None] * _PAGE, "-"
        while len(page) == _PAGE:
            [page] = self._send(("XRANGE", self._scripts.letters_key, after, "+", "COUNT", _PAGE))
            found += [_to_message(entry) for entry in page]
            after = f"({found[-1].id}" if found else "-"
        return found

    def drop(self, ids: Sequence[str]) -> int:
        """Forget dead messages; return how many were there."""
        return int(self._send(("XDEL", self._scripts.letters_key, *ids))[0]) if ids else 0

    def _dead_keys(self, key: Key) -> tuple[str, str]:
        return self._scripts.record_keys(key)[0], self._scripts.bucket_key(int(key[:2], 16), "dead")

    def _send(self, *commands: tuple[Any, ...]) -> list[Any]:
        replies = self._scripts.send("letters", *commands)
        for reply in replies:
            if isinstance(reply, ResponseError):
                raise self._scripts.unavailable("letters", self._scripts.letters_key, reply) from reply
        return replies


def _to_message(entry: Any) -> DeadMessage:  # noqa: ANN401  # as the server answers: id, flat fields
    number, flat = entry
    kept = dict(zip(flat[::2], flat[1::2], strict=True))
    return DeadMessage(
        id=number.decode(),
        reason=kept[b"reason"].decode(),
        task=kept[b"task"].decode(errors="replace"),
        job=kept[b"job"].decode(errors="replace"),
        queue=kept[b"queue"].decode(errors="replace"),
        about=kept[b"about"],
        body=kept[b"body"],
        size=int(kept[b"size"]),
    )
