"""Turns the bytes of an input into UTF-8 without a mark: unpacks gzip, and refuses what is no text.

    raw bytes -> gzip -> another encoding -> UTF-8

Each step is a raw stream over the one before, so that any size flows through little memory.
"""

from __future__ import annotations

import codecs
import io
import zlib
from gzip import BadGzipFile, GzipFile
from typing import TYPE_CHECKING

from producer.inputs.reading import InputInvalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import WriteableBuffer

_CHUNK = 256 << 10
#: Enough to see what a file is: its first lines, where they are not very long.
HEAD_BYTES = 64 << 10

_GZIP = b"\x1f\x8b"
#: The first bytes of files that are often taken for rows, and what to do with them.
_FOREIGN = (
    (b"%PDF-", "a PDF: export its content as CSV, JSON lines or text"),
    (b"PK\x03\x04", "a zip archive, or an Excel or Word file: unpack it, or save it as CSV or as text"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word file: save it as CSV or as text"),
    (b"PAR1", "a Parquet file: export it as CSV or JSON lines"),
    (b"ARROW1", "an Arrow file: export it as CSV or JSON lines"),
    (b"Obj\x01", "an Avro file: export it as CSV or JSON lines"),
    (b"SQLite format 3\0", "an SQLite database: export a table as CSV"),
    (b"BZh", "packed with bzip2: unpack it, or pack it with gzip"),
    (b"\xfd7zXZ\0", "packed with xz: unpack it, or pack it with gzip"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd: unpack it, or pack it with gzip"),
    (b"{\\rtf", "an RTF document: save it as plain text"),
)
#: Of most scripts at least the spaces, digits and line ends have a zero byte in UTF-16: one byte of so many.
_ZEROS_OF = 20
_MARKUP = (b"<!doctype", b"<html", b"<?xml")
#: UTF-32 before UTF-16: its mark begins with the same bytes.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class Joined(io.RawIOBase):
    """First *head*, then what is left of *rest*; *heard* gets every byte that is read."""

    def __init__(
        self, rest: io.BufferedIOBase, head: bytes = b"", heard: Callable[[memoryview], object] | None = None
    ) -> None:
        super().__init__()
        self._rest, self._head, self._heard = rest, head, heard

    def readable(self) -> bool:
        """Return True: the only thing that it can do."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read once at most: a row that was written to a pipe is there before the next one is."""
        view = memoryview(buffer)
        if self._head:
            count = min(len(self._head), len(view))
            view[:count], self._head = self._head[:count], self._head[count:]
        else:
            count = self._rest.readinto1(view)
        if self._heard is not None:
            self._heard(view[:count])
        return count


def buffered(raw: io.RawIOBase) -> io.BufferedReader:
    """Return *raw* with the buffer that all inputs have."""
    return io.BufferedReader(raw, _CHUNK)


def head_of(stream: io.BufferedIOBase) -> tuple[bytes, io.BufferedReader]:
    """Return the first line of *stream*, with what comes with it, and a stream that begins anew."""
    head = b""
    while len(head) < HEAD_BYTES and b"\n" not in head.lstrip():
        more = stream.read1(HEAD_BYTES - len(head))
        if not more:
            break
        head += more
    return head, buffered(Joined(stream, head))


def as_utf8(raw: io.BufferedReader, name: str, encoding: str | None) -> io.BufferedReader:
    """Return the text of *raw* as UTF-8.

    Raises:
        InputInvalid: it is no text, or in an encoding that must be named; also later, while it is read.
    """
    head, stream = head_of(raw)
    if head.startswith(_GZIP):
        head, stream = head_of(buffered(_Unpacked(stream, name)))
    _refuse_foreign(head, name)
    mark, found = next(((mark, of) for mark, of in _MARKS if head.startswith(mark)), (b"", None))
    if encoding is not None and found is not None and not _agree(encoding, found):
        raise InputInvalid(name, f"has the byte order mark of {found.upper()}: leave --encoding out")
    stream.read(len(mark))
    encoding = codecs.lookup(found or encoding or "utf-8").name
    if encoding == "utf-8":
        _refuse_binary(head, name)
        return stream
    return buffered(_Recoded(stream, name, encoding))


def _refuse_foreign(head: bytes, name: str) -> None:
    for magic, what in _FOREIGN:
        if head.startswith(magic):
            raise InputInvalid(name, f"is {what}")
    if head.lstrip().lower().startswith(_MARKUP):
        raise InputInvalid(name, "is HTML or XML, not rows")


def _refuse_binary(head: bytes, name: str) -> None:
    nulls = head.count(b"\0")
    if not nulls:
        return
    for encoding, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[::2])):
        if zeros.count(b"\0") == nulls and nulls * _ZEROS_OF >= len(head):
            raise InputInvalid(
                name, f"looks like UTF-16 without a mark: pass --encoding {encoding}, or save it as UTF-8"
            )
    raise InputInvalid(name, "is binary: it has zero bytes, and text in UTF-8 has none")


def _agree(given: str, found: str) -> bool:
    """Return whether a file with the mark of *found* may be called *given*: UTF-16 names either order."""
    name = codecs.lookup(given).name
    return name in {found, found.removesuffix("-le").removesuffix("-be"), f"{found}-sig"}


class _Unpacked(io.RawIOBase):
    """The content of a gzip file."""

    def __init__(self, packed: io.BufferedReader, name: str) -> None:
        super().__init__()
        self._content, self._name = GzipFile(fileobj=packed, mode="rb"), name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        try:
            return self._content.readinto1(buffer)
        except EOFError:
            raise InputInvalid(self._name, "is a gzip file that is cut off: its end is missing") from None
        except (BadGzipFile, zlib.error):
            raise InputInvalid(self._name, "is a damaged gzip file") from None


class _Recoded(io.RawIOBase):
    """Text of another encoding, as UTF-8."""

    def __init__(self, coded: io.BufferedReader, name: str, encoding: str) -> None:
        super().__init__()
        self._coded, self._name, self._encoding = coded, name, encoding
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._left, self._ended = b"", False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        while not self._left and not self._ended:
            chunk = self._coded.read1(HEAD_BYTES)
            self._ended = not chunk
            try:
                self._left = self._decoder.decode(chunk, self._ended).encode()
            except UnicodeError:
                raise InputInvalid(self._name, f"is not {self._encoding}: pass another --encoding") from None
        count = min(len(self._left), len(view))
        view[:count], self._left = self._left[:count], self._left[count:]
        return count
