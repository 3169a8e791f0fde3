"""A mutation: a bug that could be made, and the tests that must fail when it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Edit:
    """Text to replace in a file. `old` occurs exactly once in it."""

    file: str
    old: str
    new: str

    def occurrences(self, root: Path = ROOT) -> int:
        """Count how often the text is there."""
        return (root / self.file).read_text().count(self.old)

    def apply(self, root: Path) -> None:
        """Put the bug into the tree under `root`."""
        path = root / self.file
        path.write_text(path.read_text().replace(self.old, self.new))


@dataclass(frozen=True, slots=True)
class Mutation:
    """A bug, and the tests of which every one must fail. A killer with parameters fails when any of them does."""

    name: str
    edits: tuple[Edit, ...]
    killers: tuple[str, ...]

    @property
    def needs_broker(self) -> bool:
        """Whether any killer does."""
        return any(killer.startswith("tests/kafka/") for killer in self.killers)
