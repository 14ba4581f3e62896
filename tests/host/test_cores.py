"""Work on every core: everything is done once, other processes take part, and this one does not wait for them."""

from __future__ import annotations

import os
import time

import pytest

from earwitness.commands import _cores
from earwitness.errors import IntegrityError


def work(job: int) -> tuple[int, int]:
    time.sleep(0.05)
    return job * job, os.getpid()


def fails(job: int) -> int:
    if job == 3:
        raise IntegrityError("Number 3.", "A hint.")
    return job


@pytest.fixture(autouse=True)
def three_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cores, "cores", lambda: 3)


@pytest.mark.parametrize(("count", "start"), [(count, _cores._START) for count in (0, 1, 2, 3, 4, 40)] + [(9, "spawn")])
def test_every_job_is_done_once(monkeypatch: pytest.MonkeyPatch, count: int, start: str) -> None:
    monkeypatch.setattr(_cores, "_WORTH_STARTING_BYTES", 0)
    monkeypatch.setattr(_cores, "_START", start)
    done = list(_cores.on_every_core(work, range(count), [(7 * i) % 11 for i in range(count)]))
    assert sorted((number, result[0]) for number, result in done) == [(i, i * i) for i in range(count)]
    others = {pid for _, (_, pid) in done} - {os.getpid()}
    assert len(others) <= 2 and bool(others) == (count > 1)


def test_this_process_works_too_and_the_largest_go_out_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cores, "_WORTH_STARTING_BYTES", 0)
    done = list(_cores.on_every_core(work, range(60), range(60)))
    here = [number for number, (_, pid) in done if pid == os.getpid()]
    assert here[:3] == [0, 1, 2], "it takes the smallest"
    assert 59 not in here


def test_little_is_done_without_another_process() -> None:
    done = list(_cores.on_every_core(work, range(5), [1000] * 5))
    assert [number for number, _ in done] == list(range(5)) and {pid for _, (_, pid) in done} == {os.getpid()}


def test_what_goes_wrong_elsewhere_is_told_here_in_the_same_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cores, "_WORTH_STARTING_BYTES", 0)
    with pytest.raises(IntegrityError) as caught:
        list(_cores.on_every_core(fails, range(20), [100 if i == 3 else 1 for i in range(20)]))
    assert (caught.value.message, caught.value.hint) == ("Number 3.", "A hint.")


def test_only_the_cores_that_it_may_use_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    if hasattr(os, "sched_getaffinity"):
        assert _cores.cores() == len(os.sched_getaffinity(0))
    assert 1 <= _cores.cores() <= (os.cpu_count() or 1)
