"""What is wrong with a file, in words: damage that an accident makes, and failures that none does."""

from __future__ import annotations

from dataclasses import dataclass, field

_MAX_NAMED = 100


@dataclass(slots=True)
class Findings:
    """Each is named with its file page, up to a hundred; all are counted."""

    failures: list[str] = field(default_factory=list)
    damages: list[str] = field(default_factory=list)
    failure_count: int = 0
    damage_count: int = 0
    gone_count: int = 0  # leaves of which not even a spoilt page stands in the file

    def failure(self, text: str, file_page: int) -> None:
        """Something that only a fault of the program or somebody's hand makes."""
        self.failure_count += 1
        self._add(self.failures, self.failure_count, f"{text} (at page {file_page} of the file)")

    def damage(self, text: str) -> None:
        """A page is spoilt; what stands beside it keeps its proof. `text` names the page itself."""
        self.damage_count += 1
        self._add(self.damages, self.damage_count, text)

    def gone(self, count: int, file_page: int) -> None:
        """Leaves that the recorder signed for are not in the file at all."""
        self.damage_count += 1
        self.gone_count += count
        noun = "page of sound is" if count == 1 else "pages of sound are"
        self._add(self.damages, self.damage_count, f"{count} {noun} missing behind page {file_page} of the file")

    def named(self) -> tuple[str, ...]:
        """Everything, failures first."""
        more = self.failure_count + self.damage_count - len(self.failures) - len(self.damages)
        rest = [f"and {more} more of the same kind"] if more else []
        return (*self.failures, *self.damages, *rest)

    @staticmethod
    def _add(names: list[str], count: int, text: str) -> None:
        if count <= _MAX_NAMED:
            names.append(text)
