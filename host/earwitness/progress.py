"""How far a long command has come: a bar on a terminal, JSON lines with `--json`, nothing in a pipe."""

from __future__ import annotations

import json
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from earwitness.console import console

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

_EVERY_S: Final = 0.25


class Progress:
    """`with Progress("verify", total) as progress: progress(done)`; `done` and `total` in any one unit."""

    def __init__(self, what: str, total: int, *, count_bytes: bool = False) -> None:
        """`count_bytes`: the unit is a byte, and the rate is shown."""
        self._what = what
        self._rate = count_bytes
        self._began = time.monotonic()
        self._first = -1
        self._total = max(total, 1)
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._last = 0.0

    def __enter__(self) -> Self:
        if sys.stderr.isatty() and not console.json and not console.quiet:
            from rich.console import Console as Screen
            from rich.progress import BarColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.percentage:3.0f} %"),
                *([TransferSpeedColumn()] if self._rate else []),
                TimeRemainingColumn(),
                console=Screen(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task(self._what, total=self._total)
            self._bar.start()
        return self

    def __call__(self, done: int) -> None:
        now = time.monotonic()
        if self._first < 0:
            self._first, self._began = done, now
        if now - self._last < _EVERY_S and done < self._total:
            return
        self._last = now
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done)
        elif console.json and not console.quiet:
            line: dict[str, Any] = {"progress": self._what, "done": done, "total": self._total}
            passed = now - self._began
            if self._rate and passed > 0 and done > self._first:
                rate = (done - self._first) / passed
                line |= {"rate": round(rate), "left_s": round((self._total - done) / rate, 1)}
            print(json.dumps(line), file=sys.stderr, flush=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
