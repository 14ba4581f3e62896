"""Work on many files on every core, this process's own included: it does not wait while the others start."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

_Job = TypeVar("_Job")
_Result = TypeVar("_Result")

_WORTH_STARTING_BYTES: Final = 16 << 20  # a process takes as long to start as this much takes to check
_FILE_BYTES: Final = 100_000  # what a file costs beyond its length
_AHEAD: Final = 4  # files handed out to each process at most
# A forked process has everything loaded; a spawned one takes half a second of its core to get there.
_START = "fork" if sys.platform == "linux" else "spawn"


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def on_every_core(
    work: Callable[[_Job], _Result], jobs: Sequence[_Job], sizes: Sequence[int]
) -> Iterator[tuple[int, _Result]]:
    """(number of the job, what `work` makes of it), as they are done. `sizes` are the lengths in bytes of their files.

    `work`, jobs and results have to pickle; `work` goes to each process once. The largest go to other processes first;
    this one takes the smallest meanwhile, so that it is soon back to hand out more.
    """
    left = deque(sorted(range(len(jobs)), key=lambda number: -sizes[number]))
    others = min(cores(), len(jobs)) - 1
    if others < 1 or sum(sizes) + len(sizes) * _FILE_BYTES < _WORTH_STARTING_BYTES:
        yield from ((number, work(jobs[number])) for number in range(len(jobs)))
        return
    from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
    from multiprocessing import get_context

    with ProcessPoolExecutor(others, get_context(_START), _begin, (work,)) as pool:
        running: dict[Future[_Result], int] = {}
        while left or running:
            # Some ahead for each, or one would stand still while this process is at a file of its own; fewer as it ends.
            while left and len(running) < max(others, min(_AHEAD * others, len(left) // 2)):
                number = left.popleft()
                running[pool.submit(_do, jobs[number])] = number
            if left:
                number = left.pop()
                yield number, work(jobs[number])
            else:
                wait(running, return_when=FIRST_COMPLETED)
            for future in [future for future in running if future.done()]:
                yield running.pop(future), future.result()


_work: Callable[[Any], Any] | None = None  # of this process


def _begin(work: Callable[[Any], Any]) -> None:
    global _work  # noqa: PLW0603  # a process of the pool has no other place to keep it
    _work = work


def _do(job: Any) -> Any:
    assert _work is not None
    return _work(job)
