"""What a proof has seen, and which promises that breaks."""

from dataclasses import dataclass, field


@dataclass
class Seen:
    said: list = field(default_factory=list)
    broken: list = field(default_factory=list)

    def say(self, line):
        self.said.append(line)

    def expect(self, what, expected, actual):
        if expected != actual:
            self.broken.append(f"{what}: expected {str(expected)[:200]}, but saw {str(actual)[:200]}")
