"""What one job asks of its service, at most and usually: for who must know the bill before the calls.

Each task of the catalog has a function that returns this for a payload. It is plain data: a producer reads it
without loading a client.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: Answers that one attempt pays for at most: one that cannot be used is asked for a second time.
ANSWERS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """The questions of one job. Each of them is one call, where nothing fails."""

    #: UTF-8 bytes of each: the instructions, the schema of the answer and the text.
    questions: tuple[int, ...]
    #: How often each is attempted at most, and how many calls of one attempt are paid at most.
    attempts: int
    answers: int = 1
    #: Whether the answers of the questions are then joined, by further questions to which the instructions
    #: and the schema add so many bytes; 0 where they are not.
    joining: int = 0
    #: Whether the job itself makes these calls. Calls of other jobs may be there already, and may go on after
    #: the job's end.
    own: bool = True

    @property
    def paid(self) -> int:
        """How often one question is paid at most."""
        return self.attempts * self.answers

    @property
    def joins(self) -> int:
        """How many questions join the answers at most: each round has at least one less than the last."""
        count = len(self.questions)
        return count * (count - 1) // 2 if self.joining else 0
