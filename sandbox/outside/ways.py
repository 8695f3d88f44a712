"""Ways to send a reply that no honest service uses."""

import zlib
from collections.abc import Callable, Mapping
from functools import cache
from itertools import repeat

from sandbox.outside.openai_wire import Reply
from sandbox.outside.sending import Line, body_of, head_of

_BLANK_SECONDS = 0.05
_PIECE = b"x" * 65_536
_BOMB_PIECES = 4_800  # 300 MiB of one letter, which are 0.3 MiB when they are packed


def drop(line: Line, reply: Reply) -> None:
    """Close the connection before the first byte."""
    del line, reply


def reset(line: Line, reply: Reply) -> None:
    """Reset the connection before the first byte."""
    del reply
    line.reset()


def cut(line: Line, reply: Reply) -> None:
    """Close the connection in the middle of the body."""
    _send_half(line, reply)


def reset_in_the_middle(line: Line, reply: Reply) -> None:
    """Reset the connection in the middle of the body."""
    _send_half(line, reply)
    line.reset()


def hold(line: Line, reply: Reply) -> None:
    """Send nothing until the client leaves."""
    del reply
    while not line.wait():
        pass


def trickle(line: Line, reply: Reply) -> None:
    """Send blanks until the client leaves: no read of its socket takes long, and the whole never ends."""
    there = line.arrives(head_of(reply, None))
    while there and not line.wait(_BLANK_SECONDS):
        there = line.arrives(b"\n")


def trickle_headers(line: Line, reply: Reply) -> None:
    """Send headers until the client leaves."""
    there = line.arrives(head_of(reply, None).removesuffix(b"\r\n"))
    while there and not line.wait(_BLANK_SECONDS):
        there = line.arrives(b"x-still: here\r\n")


def endless(line: Line, reply: Reply) -> None:
    """Send one long string as fast as it is read, until the client leaves."""
    there = line.arrives(head_of(reply, None) + b'{"id":"')
    while there:
        there = line.arrives(_PIECE)


#: After these the client notices at once: the call has ended before.
SHORT: Mapping[str, Callable[[Line, Reply], None]] = {
    "drop": drop,
    "reset": reset,
    "cut": cut,
    "reset_in_the_middle": reset_in_the_middle,
}
#: These last until the client leaves.
LASTING: Mapping[str, Callable[[Line, Reply], None]] = {
    "hold": hold,
    "trickle": trickle,
    "trickle_headers": trickle_headers,
    "endless": endless,
}
WAYS: Mapping[str, Callable[[Line, Reply], None]] = {**SHORT, **LASTING}
#: An ordinary way to send, with a body that is made here.
BOMB = "gzip_bomb"


@cache
def bomb() -> bytes:
    """Return a small gzip body that unpacks to 300 MiB of JSON."""
    packer = zlib.compressobj(9, wbits=31)
    head, tail = packer.compress(b'{"id":"'), packer.compress(b"")
    pieces = [packer.compress(piece) for piece in repeat(_PIECE, _BOMB_PIECES)]
    return b"".join([head, tail, *pieces, packer.compress(b'"}'), packer.flush()])


def _send_half(line: Line, reply: Reply) -> None:
    body = body_of(reply)
    line.arrives(head_of(reply, len(body)) + body[: len(body) // 2])
