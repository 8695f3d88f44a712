"""Turns the cues of captions (WebVTT, SubRip) into lines of a transcript, ``Speaker: text``."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Between the lines of two cues is a blank one.
_BLANK = re.compile(r"\n[ \t]*\n")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?[ \t]+([^>]+)>")
#: Only the tags of captions: a text may have a "<" of its own.
_TAG = re.compile(r"</?(?:c|i|b|u|v|ruby|rt|lang|font)(?:[.\s][^>]*)?>|<\d[\d:.]*>")
#: Letters before the colon: ``09:30`` is a time, not a speaker.
_SPEAKER = re.compile(r"([^\W\d][^:<>\n]{0,79}?)\s*:\s+(?=\S)")


def lines_of_cues(text: str) -> str:
    """Return one line for each speaker's turn; a cue that names no speaker is a line of its own."""
    lines: list[str] = []
    last = ""
    for speaker, words in _said(text):
        if speaker and speaker == last:
            lines[-1] += f" {words}"
        else:
            lines.append(f"{speaker}: {words}" if speaker else words)
        last = speaker
    return "\n".join(lines)


def _said(text: str) -> Iterator[tuple[str, str]]:
    """Yield the speaker and the words of each cue, or of each voice in it."""
    for block in _BLANK.split(text.replace("\r\n", "\n").replace("\r", "\n")):
        lines = block.strip("\n").split("\n")
        timing = next((at for at, line in enumerate(lines) if "-->" in line), None)
        # Only cues have times: headers, notes, styles and regions have none.
        if timing is not None:
            yield from _voices("\n".join(lines[timing + 1 :]))


def _voices(cue: str) -> Iterator[tuple[str, str]]:
    before, *voices = _VOICE.split(cue)
    pairs: Iterable[tuple[str, str]] = zip(voices[::2], voices[1::2], strict=True)
    for voice, said in (("", before), *pairs):
        words = _plain(said)
        named = None if voice else _SPEAKER.match(words)
        if named:
            yield named[1], words[named.end() :]
        elif words:
            yield _plain(voice), words


def _plain(text: str) -> str:
    """Return *text* without tags, on one line."""
    return " ".join(unescape(_TAG.sub("", text)).split())
