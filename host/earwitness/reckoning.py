"""What stands in a file and is no leaf in its place: damage, or a hand's work (FORMAT.md, "Damage or failure").

Leaves that are missing are counted against pages that are spoilt, from checkpoint to checkpoint. Signing takes its time, so
the next leaves may already stand before a checkpoint: one of them that is spoilt is missed at the next one only. And a page
whose number was spoilt may wait at a checkpoint as if it came later, and is seen at the next one to stand for a leaf of this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from earwitness import note
from earwitness.checkpoint import MAX_LISTED, MAX_UNPROVEN
from earwitness.findings import Survey

FOREIGN, SPOILT_CHECKPOINT = "foreign", "checkpoint"


@dataclass(slots=True)
class _Run:
    """Strangers in a row: pages that are plainly another recording's, one spoilt checkpoint of this one, or neither."""

    first: int
    count: int
    what: str = ""

    def __str__(self) -> str:
        last = self.first + self.count - 1
        return f"page {self.first} is" if self.count == 1 else f"pages {self.first} to {last} are"


class Reckoning:
    """Names in the survey's findings what is spoilt, missing or too much."""

    def __init__(self, survey: Survey) -> None:
        self._survey = survey
        self._strangers: list[_Run] = []  # since the last checkpoint
        self._gone = self._gone_by = 0  # leaves that nothing stood for at the last checkpoint, and its file page
        self._late_pages = self._late_strangers = 0  # spoilt ones before it that may stand for leaves of the next

    def stranger(self, file_page: int, what: str = "") -> None:
        """A page that is no leaf, no good checkpoint and no header of this recording."""
        last = self._strangers[-1] if self._strangers else None
        if last and last.what == what != SPOILT_CHECKPOINT and last.first + last.count == file_page:
            last.count += 1
        else:
            self._strangers.append(_Run(file_page, 1, what))

    def settle(
        self, signed: note.Note, file_page: int, last: int, *, missing: int, spoilt: Sequence[int], room: int, gap: bool
    ) -> None:
        """A checkpoint on `file_page`.

        last: file page of the last of its leaves that is here. missing: how many of them are not. spoilt: file pages of
        sound that are none of them and wait no longer. room: how many more of the next leaves may stand before it. gap: it
        stands on a checkpoint that was not seen.
        """
        findings = self._survey.findings
        torn = self._torn(signed, last, file_page, gap)
        runs, self._strangers = [run for run in self._strangers if run not in torn], []
        self._cannot_be_read(runs)
        self.damaged(spoilt)
        checkpoints = sum(run.what == SPOILT_CHECKPOINT for run in runs)
        strangers = sum(run.count for run in runs) - checkpoints
        early = min(self._gone, sum(page < self._gone_by for page in spoilt))
        findings.gone_count -= early
        self._gone -= early
        pages, late = len(spoilt) - early, self._late_pages + self._late_strangers
        spare, too_many = pages + strangers + late - missing, max(pages + self._late_pages - missing, 0)
        if gap and not checkpoints:
            looks_torn = sum(run.count for run in torn)
            spare -= self._missed(max(missing - late, 0), pages + strangers, looks_torn, last, file_page)
        if spare < 0:
            findings.gone(-spare, last)
        if missing or last:
            self._gone, self._gone_by = max(-spare, 0), file_page
            behind_pages, behind = 0, 0  # what was late at the checkpoint before is late no more
        else:
            behind_pages, behind = self._late_pages, self._late_strangers
        behind_pages += sum(page > last for page in spoilt)
        behind += sum(run.count for run in runs if run.first > last and run.what != SPOILT_CHECKPOINT)
        self._late_pages = min(too_many, behind_pages, room)
        self._late_strangers = min(max(spare - self._late_pages, 0), behind, room - self._late_pages)
        self._too_many(too_many - self._late_pages, last)

    @property
    def strange(self) -> int:
        """How many pages since the last checkpoint are none of sound."""
        return sum(run.count for run in self._strangers)

    def damaged(self, pages: Sequence[int]) -> None:
        """Pages of sound, by their places in the file, that are not what the recorder sealed there."""
        for page in pages:
            self._survey.findings.damage(f"page {page} is damaged: the recorder sealed something else there")
        self._survey.damaged += len(pages)

    def misnumbered(self, pages: Sequence[int]) -> list[int]:
        """At the end of the file, of pages out of line: those that stand for leaves which were gone at the last checkpoint."""
        found = [page for page in pages if page < self._gone_by]
        if len(found) > self._gone:
            return []
        self._survey.findings.gone_count -= len(found)
        self.damaged(found)
        return found

    def close(self, last_ours: int, holes: int, over: int) -> None:
        """The end of the file.

        last_ours: last page plainly of this recording. holes: numbers left out behind the last checkpoint. over: how many more
        leaves wait there than may; checkpoints that cannot be read would have listed some.
        """
        self._too_many(self._late_pages - holes, last_ours)
        inside = [run for run in self._strangers if run.what == SPOILT_CHECKPOINT or run.first < last_ours]
        checkpoints = sum(run.what == SPOILT_CHECKPOINT for run in inside)
        checkpoints += max(sum(run.count for run in inside) - checkpoints - holes, 0)
        if over > checkpoints * MAX_LISTED:
            self._survey.findings.failure(f"more than {MAX_UNPROVEN} pages stand behind the last checkpoint", last_ours)
        elif over > 0:
            self._cannot_be_read(inside)
            self._strangers = [run for run in self._strangers if run not in inside]
        for run in self._strangers:
            if run in inside:
                why = "not of this recording" if run.what == FOREIGN else "torn or not of this recording"
                self._survey.litter(f"{run} {why}")
            else:
                self._survey.unused_pages += run.count

    def _torn(self, signed: note.Note, last: int, file_page: int, gap: bool) -> list[_Run]:
        """What a power cut left behind the last leaf that was whole; told as debris.

        A checkpoint that a later one stands on was whole when the recorder closed the file: what cannot be read of it was
        spoilt since.
        """
        if signed.state not in (note.RECOVERED, note.DAMAGED):
            return []
        behind = [run for run in self._strangers if last < run.first < file_page]
        torn = [run for run in behind if not (gap and run.what == SPOILT_CHECKPOINT)]
        for run in torn:
            why = "not of this recording" if run.what == FOREIGN else "torn by the power cut, or never written"
            self._survey.litter(f"{run} {why}")
        return torn

    def _missed(self, leaves: int, spoilt: int, torn: int, last: int, file_page: int) -> int:
        """A checkpoint was not seen where so many leaves are missing: how many of the pages spoilt stand for it, 0 or 1.

        Where all of these may be leaves it may be one that looks torn. A hand can tear a page too: never less than damage.
        """
        if spoilt + torn <= leaves:
            self._survey.findings.failure("a checkpoint is missing", last)
            return 0
        if spoilt <= leaves:
            words = f"is missing, or among the pages before page {file_page} of the file that cannot be read"
            self._survey.findings.damage(f"a checkpoint {words}")
            self._survey.damaged += 0 if spoilt else 1
        return 1 if spoilt else 0

    def _cannot_be_read(self, runs: Sequence[_Run]) -> None:
        for run in runs:
            what = "the checkpoint in it" if run.what == SPOILT_CHECKPOINT else "what stood there"
            self._survey.findings.damage(f"{run} damaged: {what} cannot be read")
            self._survey.damaged += run.count

    def _too_many(self, pages: int, file_page: int) -> None:
        if pages > 0:
            words = "1 page too many stands" if pages == 1 else f"{pages} pages too many stand"
            self._survey.findings.failure(f"{words} among those of this recording", file_page)
