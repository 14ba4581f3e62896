"""What a walk finds: what is wrong, in words (damage that an accident makes, and failures that none does), and how much is proven."""

from __future__ import annotations

from dataclasses import dataclass, field

from earwitness.note import Note

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


@dataclass(slots=True)
class Survey:
    """What the walk has found; whole once `Structure.leaves` is exhausted."""

    findings: Findings
    proven: int = 0  # leaves, the header included
    proven_to: int = 0  # leaves that the newest good checkpoint covers
    unproven: int = 0  # leaves behind it
    damaged: int = 0  # pages that are spoilt, checkpoints too
    checkpoints: int = 0
    begins_sealed: bool = False  # checkpoint 0 is good and stands right behind the header
    final: Note | None = None
    final_whole: bool = False  # the page of the final note is good, not only the note
    unused_pages: int = 0
    debris: list[str] = field(default_factory=list)
    debris_count: int = 0

    def litter(self, text: str) -> None:
        """Something torn that harms nothing; the first hundred are named."""
        self.debris_count += 1
        if self.debris_count <= _MAX_NAMED:
            self.debris.append(text)
