"""What became of one recording that was met, and how far its copying has come."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from earwitness.verify import Verdict

NEW, PRESENT, UNOPENED, DAMAGED, SKIPPED, FAILED, GONE = (
    "new",
    "present",
    "unopened",
    "damaged",
    "skipped",
    "failed",
    "gone",
)


@dataclass(frozen=True)
class Progress:
    """Where a copy stands. `phase` is `marked`, `reading`, `checking` or `freeing`; `rate` is bytes a second of this run, 0 at its
    start."""

    seq: int
    phase: str
    done: int
    total: int
    rate: float


@dataclass(frozen=True)
class Item:
    """What became of one recording.

    `new`: it is in the library and verified. `present`: it was there, verified to its final note, or as whole as it ever
    will be: `reason` says so. `unopened`: new, but the
    identity at hand does not open it. `damaged`: this is all that there is, and the verdict says what is wrong. `skipped`:
    still being recorded. `gone`: not on the recorder's card any more. `failed`: not copied. `path` and `verdict` are of
    the file that was read now; without a path it was not kept, because a better copy was here: `reason` says so.
    """

    seq: int
    recording_id: str
    outcome: str
    path: Path | None = None
    verdict: Verdict | None = field(default=None, repr=False)
    reason: str = ""
    bytes: int = 0
