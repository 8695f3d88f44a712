from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.meetings.parts import Reading, merge_analyses, split
from tasks.meetings.prompts import MeetingAnalysis


def analyzed(label: str = "neutral", score: float = 0.0, **lists) -> dict:
    return {
        "sentiment": {"label": label, "score": score},
        "speakers": [],
        "risks": [],
        "evidence": [],
        **lists,
    }


def readings(*scored: tuple[int, str, float]) -> list[Reading[MeetingAnalysis]]:
    return [Reading(MeetingAnalysis(**analyzed(label, score)), weight) for weight, label, score in scored]


def test_speakers_are_averaged_by_the_length_of_the_parts():
    def heard(name: str, score: float, weight: int) -> Reading[MeetingAnalysis]:
        speaker = {"speaker": name, "label": "neutral", "score": score}
        return Reading(MeetingAnalysis(**analyzed(speakers=[speaker])), weight)

    merged = merge_analyses([heard("Ann", 1.0, 300), heard("Bob", -0.5, 100), heard("ann", 0.0, 100)])

    assert [(s.speaker, s.label, s.score) for s in merged.speakers] == [
        ("Ann", "positive", 0.75),
        ("Bob", "negative", -0.5),
    ]


@pytest.mark.parametrize(
    ("parts", "label", "score"),
    [
        ([(3, "positive", 0.6), (1, "neutral", 0.0)], "positive", 0.45),
        ([(3, "neutral", 0.1), (1, "neutral", 0.0)], "neutral", 0.075),
        ([(1, "negative", -0.2), (1, "negative", -0.2)], "negative", -0.2),
        ([(1, "positive", 1.0), (1, "negative", -1.0)], "mixed", 0.0),
        ([(9, "positive", 1.0), (1, "negative", -1.0)], "positive", 0.8),
        ([(1, "mixed", 0.0), (1, "neutral", 0.0)], "mixed", 0.0),
        ([(1, "mixed", 0.0), (2, "neutral", 0.0)], "neutral", 0.0),
        ([(1, "positive", -0.9), (1, "positive", -0.9)], "negative", -0.9),
    ],
)
def test_label_of_the_whole_follows_from_the_weighted_scores(parts, label, score):
    merged = merge_analyses(readings(*parts)).sentiment

    assert (merged.label, merged.score) == (label, score)


@given(
    st.lists(
        st.tuples(
            st.integers(1, 10**6),
            st.sampled_from(["positive", "neutral", "negative", "mixed"]),
            st.floats(-1, 1),
        ),
        min_size=2,
        max_size=6,
    )
)
def test_label_never_contradicts_the_score(parts):
    merged = merge_analyses(readings(*parts)).sentiment

    side = "positive" if merged.score >= 0.2 else "negative" if merged.score <= -0.2 else "neutral"
    assert merged.label in (side, "mixed")
    assert -1 <= merged.score <= 1


@given(st.text(alphabet='ab .!?:\n"。', max_size=200), st.integers(1, 40))
def test_parts_joined_are_the_transcript_and_none_is_too_long(text, max_chars):
    parts = split(text, max_chars)

    assert "".join(parts) == text
    assert all(len(part) <= max_chars for part in parts)
    assert all(parts) or text == ""


@given(st.lists(st.text(alphabet="ab .", max_size=19), min_size=1, max_size=20), st.integers(20, 60))
def test_line_that_fits_is_never_broken(lines, max_chars):
    text = "".join(f"{line}\n" for line in lines)

    parts = split(text, max_chars)

    assert all(part.endswith("\n") for part in parts if part)


@pytest.mark.parametrize(
    ("line", "first"),
    [
        ("Ann: One. Two three four", "Ann: One. "),
        ('Ann: "One!" Two three four', 'Ann: "One!" '),
        ("Ann: one two three four", "Ann: one two "),
        ("Annonetwothreefour", "Annonetwothreef"),
    ],
)
def test_long_line_is_broken_after_a_sentence_then_a_space(line, first):
    assert split(line, 15)[0] == first


def test_window_without_room_is_refused():
    with pytest.raises(ValueError, match="max_chars"):
        split("text", 0)
