"""Makes the answer of the stand-in model, from words of the transcript only.

    prompt -> turns -> sentences -> facts (one flat set) -> an instance of the requested schema

It recognises cue words in Portuguese and English. Equal prompt and schema always give an equal answer.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from itertools import pairwise

from sandbox.outside import lexicon
from sandbox.outside.schema import fit

_TURN = re.compile(r"^[ \t]*([^\W\d_][^:\n]{0,39}):[ \t]+(\S.*?)[ \t\r]*$", re.MULTILINE)
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+")
_MARK = re.compile(r"\{[^}]*\}")  # a note of the transcriber, for example {laughter}
_WORD = re.compile(r"[a-z][a-z-]{2,}")
_HEADINGS = frozenset(  # "Date: 2026-03-02" is a heading, not a turn of a speaker
    """transcript transcricao meeting reuniao meeting_id meet_date date data customer customer_id cliente
    participants participantes subject assunto language idioma note nota""".split()  # noqa: SIM905 # easier to read as text
)

_SUMMARY_SENTENCES = 3
_KEY_POINTS = 5
_TOPICS = 6
_MOST = 8  # decisions, actions and risks of one meeting, at most
_QUOTES_EACH = 2
_SHORT_WORDS = 5  # a sentence with fewer words is not used alone


@dataclass(frozen=True)
class _Sentence:
    """One sentence of one speaker, verbatim. `plain` has the same length, no accents and no upper case."""

    speaker: str | None
    text: str

    @cached_property
    def plain(self) -> str:
        """The text in which cue words are searched."""
        return _MARK.sub(lambda mark: " " * len(mark[0]), "".join(map(_plain, self.text)))

    @cached_property
    def words(self) -> list[str]:
        """The words without stop words, in order."""
        return [word for word in _WORD.findall(self.plain) if word not in lexicon.STOP_WORDS]

    @property
    def is_short(self) -> bool:
        """Whether it has too few words to be used without its context."""
        return len(self.plain.split()) < _SHORT_WORDS


def answer(prompt: str, schema: Mapping[str, object] | None) -> object:
    """Fill `schema` from the transcript in `prompt`; without a schema, return a summary as text."""
    facts = _facts(prompt)
    return facts["summary"] if schema is None else fit(schema, facts)


@lru_cache(maxsize=64)  # extract, analyze and a retry send the same transcript
def _facts(prompt: str) -> Mapping[str, object]:
    said = _sentences(prompt)
    people = list(dict.fromkeys(s.speaker for s in said if s.speaker))
    ranked = _ranked(said)
    summary = ranked[:_SUMMARY_SENTENCES]
    decisions = [s for s in said if _states(lexicon.DECISION, s)][:_MOST]
    risks = [s for s in said if _states(lexicon.RISK, s)][:_MOST]
    return {
        "summary": " ".join(_texts(said, summary)),
        "key_points": _texts(said, ranked[_SUMMARY_SENTENCES:][:_KEY_POINTS]),
        "decisions": [s.text for s in decisions],
        "action_items": [_action(s, people) for s in said if _is_action(s)][:_MOST],
        "topics": _topics(said, people),
        "participants": people,
        "sentiment": _sentiment(said),
        "speakers": [{"speaker": p, **_sentiment([s for s in said if s.speaker == p])} for p in people],
        "risks": [{"description": s.text, "severity": _severity(s)} for s in risks],
        "evidence": _evidence(said, decisions, risks),
    }


def _sentences(prompt: str) -> list[_Sentence]:
    turns = [
        (speaker.strip(), text)
        for speaker, text in _TURN.findall(prompt)
        if "".join(map(_plain, speaker)).strip() not in _HEADINGS
    ]
    return [
        _Sentence(speaker, text)
        for speaker, spoken in turns or [(None, prompt)]
        for text in _SENTENCE_END.split(spoken.strip())
        if text
    ]


@cache
def _plain(letter: str) -> str:
    """Remove accent and upper case. A letter stays one letter: a match has the same place in the original."""
    return unicodedata.normalize("NFKD", letter)[0].lower()[0]


def _ranked(said: Sequence[_Sentence]) -> list[_Sentence]:
    """Sort sentences by the frequency of their words in the meeting (Luhn 1958), the highest first."""
    heard = Counter(word for s in said for word in set(s.words))

    def weight(s: _Sentence) -> float:
        worth = sum(heard[word] for word in set(s.words)) / (len(s.words) + 4)
        return worth * (1.5 if lexicon.DECISION.search(s.plain) else 1) * (0.5 if s.text.endswith("?") else 1)

    long = dict.fromkeys(s for s in said if not s.is_short)
    return sorted(long or dict.fromkeys(said), key=weight, reverse=True)


def _states(cue: re.Pattern[str], s: _Sentence) -> bool:
    """Return whether the sentence states the cue; a question or a negation does not."""
    if s.is_short or s.text.endswith("?"):
        return False
    found = cue.search(s.plain)
    return found is not None and not _negated(s, found.start())


def _texts(said: Sequence[_Sentence], chosen: Iterable[_Sentence]) -> list[str]:
    return [s.text for s in sorted(chosen, key=said.index)]


def _is_action(s: _Sentence) -> bool:
    if s.is_short or lexicon.SMALL_TALK.search(s.plain):
        return False
    return bool(lexicon.PROMISE.search(s.plain) or lexicon.REQUEST.search(s.plain))


def _action(s: _Sentence, people: Sequence[str]) -> dict[str, str | None]:
    promised = lexicon.PROMISE.search(s.plain)
    named = [p for p in people if p != s.speaker and re.search(rf"\b{re.escape(p.split()[0])}\b", s.text)]
    days = sorted(lexicon.DUE.finditer(s.plain), key=lambda day: day["date"] is None)
    return {
        "task": s.text,
        "owner": s.speaker if promised else next(iter(named), None),
        "due_date": next((s.text[slice(*day.span(day.lastgroup or 0))] for day in days), None),
    }


def _topics(said: Sequence[_Sentence], people: Sequence[str]) -> list[str]:
    """Return the pairs of words that occur more than once, then the most frequent other words."""
    names = {word for p in people for word in _WORD.findall("".join(map(_plain, p)))}
    spoken = [[word for word in s.words if word not in names] for s in said]
    pairs = Counter(
        f"{one} {two}"
        for s, words in zip(said, spoken, strict=True)
        for one, two in pairwise(words)
        if f"{one} {two}" in s.plain
    )
    topics = [pair for pair, times in pairs.most_common(_TOPICS // 2) if times > 1]
    covered = {word for pair in topics for word in pair.split()}
    words = Counter(word for words in spoken for word in words if word not in covered)
    topics += [word for word, _ in words.most_common(_TOPICS - len(topics))]
    return [_as_said(said, topic) for topic in topics]


def _as_said(said: Sequence[_Sentence], topic: str) -> str:
    """Return the topic with its accents."""
    first = next(s for s in said if topic in s.plain)
    at = first.plain.index(topic)
    return first.text[at : at + len(topic)].lower()


def _sentiment(said: Sequence[_Sentence]) -> dict[str, object]:
    moods = [_mood(s) for s in said]
    good, bad = sum(mood[0] for mood in moods), sum(mood[1] for mood in moods)
    # Five neutral words are added, so that a single "nice" does not make the meeting positive.
    score = round((good - bad) / (good + bad + 5), 2)
    if min(good, bad) > 1 and abs(score) < 0.35:  # noqa: PLR2004 # both moods occur and none prevails
        return {"label": "mixed", "score": score}
    if abs(score) < 0.2:  # noqa: PLR2004 # the same limit as in the prompts
        return {"label": "neutral", "score": score}
    return {"label": "positive" if score > 0 else "negative", "score": score}


def _mood(s: _Sentence) -> tuple[int, int]:
    """Count positive and negative words; "not good" is negative."""
    good = [_negated(s, m.start()) for m in lexicon.POSITIVE.finditer(s.plain)]
    bad = [_negated(s, m.start()) for m in lexicon.NEGATIVE.finditer(s.plain)]
    return good.count(False) + bad.count(True), bad.count(False) + good.count(True)


def _negated(s: _Sentence, at: int) -> bool:
    return lexicon.NEGATION.search(s.plain[max(0, at - 30) : at]) is not None


def _severity(s: _Sentence) -> str:
    if lexicon.SEVERE.search(s.plain):
        return "high"
    return "low" if lexicon.SLIGHT.search(s.plain) else "medium"


def _evidence(
    said: Sequence[_Sentence], decisions: Sequence[_Sentence], risks: Sequence[_Sentence]
) -> list[dict[str, str | None]]:
    swing = {s: good - bad for s in said for good, bad in [_mood(s)]}
    cheered = sorted((s for s in swing if swing[s] > 0), key=lambda s: -swing[s])
    troubled = sorted((s for s in swing if swing[s] < 0), key=lambda s: swing[s])
    kinds = {"decision": decisions, "risk": risks, "positive mood": cheered, "negative mood": troubled}
    return [
        {"quote": s.text, "speaker": s.speaker, "supports": kind}
        for kind, sentences in kinds.items()
        for s in sentences[:_QUOTES_EACH]
    ]
