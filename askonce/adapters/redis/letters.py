"""Lists what was given up, on Redis: ``...:dead`` beside each bucket's index, and one stream of letters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from askonce.errors import StoreUnavailable
from askonce.letters import BODY_KEPT, LETTERS_KEPT, LETTERS_KEPT_FOR, Letter, Quarantined
from askonce.store import BUCKETS

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Letters of one answer of the server: some have a quarter of a megabyte.
_PAGE = 50


class DeadListing:
    """The listing half of the store on Redis."""

    _prefix: str
    if TYPE_CHECKING:  # the other half's

        def _run_all(self, verb: str, calls: Sequence[Any]) -> list[Any]: ...
        def _ask(self, verb: str, *commands: tuple[Any, ...]) -> list[Any]: ...

    def dead(self) -> list[tuple[str, float]]:
        """Return (key, kept until) of every job in quarantine, the oldest first."""
        calls: list[Any] = [((f"{self._prefix}{bucket:02x}}}:dead",), ()) for bucket in range(BUCKETS)]
        found = [
            (float(until) / 1000, key.decode())
            for reply in self._run_all("dead", calls)
            for key, until in zip(reply[::2], reply[1::2], strict=True)
        ]
        return [(key, until) for until, key in sorted(found)]

    def show(self, keys: Sequence[str], *, payload: bool = False) -> list[Quarantined | None]:
        """Show jobs in quarantine; None for a key that is not."""
        calls: list[Any] = [(self._dead_keys(key), (int(payload),)) for key in keys]
        replies = self._run_all("show", calls)
        return [_to_quarantined(key, reply) for key, reply in zip(keys, replies, strict=True)]

    def keep_letter(self, letter: Letter) -> None:
        """Keep *letter*, cut to BODY_KEPT."""
        fields: dict[str, bytes | str | int] = {
            "reason": letter.reason,
            "task": letter.task,
            "job": letter.job,
            "queue": letter.queue,
            "about": letter.about,
            "body": letter.body[:BODY_KEPT],
            "size": letter.size or len(letter.body),
        }
        flat = [item for pair in fields.items() for item in pair]
        name = self._letters_name
        self._ask_plainly(
            ("XADD", name, "MAXLEN", "~", LETTERS_KEPT, "*", *flat),
            ("PEXPIRE", name, int(LETTERS_KEPT_FOR * 1000)),
        )

    def letters(self) -> list[Letter]:
        """Return every letter, the oldest first."""
        found: list[Letter] = []
        page, after = [None] * _PAGE, "-"
        while len(page) == _PAGE:
            [page] = self._ask_plainly(("XRANGE", self._letters_name, after, "+", "COUNT", _PAGE))
            found += [_to_letter(entry) for entry in page]
            after = f"({found[-1].id}" if found else "-"
        return found

    def drop_letters(self, ids: Sequence[str]) -> int:
        """Forget letters; return how many were there."""
        return int(self._ask_plainly(("XDEL", self._letters_name, *ids))[0]) if ids else 0

    @property
    def _letters_name(self) -> str:
        return f"{self._prefix[:-1]}letters}}"

    def _dead_keys(self, key: str) -> tuple[str, str]:
        slot = f"{self._prefix}{key[:2]}}}:"
        return f"{slot}rec:{key}", f"{slot}dead"

    def _ask_plainly(self, *commands: tuple[Any, ...]) -> list[Any]:
        replies = self._ask("letters", *commands)
        for reply in replies:
            if isinstance(reply, ResponseError):
                raise StoreUnavailable(verb="letters", reason=type(reply).__name__) from reply
        return replies


def _to_quarantined(key: str, reply: list[Any]) -> Quarantined | None:
    if not reply:
        return None
    task, edition, job, reason, attempts, history, since, until, payload = reply
    return Quarantined(
        key=key,
        job=job.decode(),
        task=task.decode(),
        edition=edition.decode(),
        reason=reason.decode(),
        attempts=attempts,
        history=tuple(history.decode(errors="replace").split()),
        since=since / 1000,
        until=until / 1000,
        payload=payload,
    )


def _to_letter(entry: Any) -> Letter:  # noqa: ANN401  # as the server answers: id, flat fields
    number, flat = entry
    kept = dict(zip(flat[::2], flat[1::2], strict=True))
    return Letter(
        id=number.decode(),
        reason=kept[b"reason"].decode(),
        task=kept[b"task"].decode(errors="replace"),
        job=kept[b"job"].decode(errors="replace"),
        queue=kept[b"queue"].decode(errors="replace"),
        about=kept[b"about"],
        body=kept[b"body"],
        size=int(kept[b"size"]),
    )
