"""What a broken or lying recorder may list and send as marked minutes: bounded work and memory, and a sentence."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earwitness import keys, marked_minutes
from earwitness.container import find_header
from earwitness.library import Library
from earwitness.link.client import Page
from earwitness.link.messages import FINAL, MOST_PAGES, Recording
from earwitness.pages_ahead import Opener, Pages
from host import maker
from host.maker import PAGE, Owner

OWNER = Owner()
MADE, _ = maker.normal(pages=150)
GOOD = MADE.bytes()
COUNT = len(GOOD) // PAGE


class Liar:
    """Gives page n of a recording as `change` says, and counts."""

    def __init__(self, change: dict[int, bytes | None]) -> None:
        self._change = change
        self.read_pages = 0

    def read(self, recording: Recording, first: int, stop: int | None = None) -> Iterator[Page]:
        for number in range(first, recording.pages if stop is None else min(stop, recording.pages)):
            self.read_pages += 1
            page = GOOD[number * PAGE : (number + 1) * PAGE].ljust(PAGE, b"\0")
            yield Page(number, self._change.get(number, page))


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    monkeypatch.setenv("EARWITNESS_HOME", str(tmp_path / "home"))
    opened = Library()
    yield opened
    opened.close()


_CHANGED = st.one_of(
    st.none(),
    st.integers(0, COUNT - 1).map(lambda other: GOOD[other * PAGE : (other + 1) * PAGE]),  # another page of it
    st.binary(min_size=64, max_size=64).map(lambda noise: GOOD[:32] + noise * 63 + noise[:32]),
    st.tuples(st.integers(0, COUNT - 1), st.integers(0, PAGE - 1)).map(
        lambda at: bytes(byte ^ (index == at[1]) for index, byte in enumerate(GOOD[at[0] * PAGE : (at[0] + 1) * PAGE]))
    ),
)


@pytest.mark.parametrize("with_key", [True, False])
def test_nothing_that_is_listed_or_sent_ends_it_otherwise_than_in_a_sentence(library: Library, with_key: bool) -> None:
    @settings(
        max_examples=30,
        database=None,
        derandomize=True,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(
        st.sampled_from([0, 1, 2, 3, COUNT, COUNT, COUNT, 5000, MOST_PAGES]),
        st.lists(st.integers(0, COUNT) | st.sampled_from([MOST_PAGES, 2**32 - 1]), min_size=1, max_size=6),
        st.dictionaries(st.integers(0, COUNT), _CHANGED, max_size=6),
    )
    def throw(pages: int, marks: list[int], change: dict[int, bytes | None]) -> None:
        for path in marked_minutes.waiting(library):
            path.unlink()
        recorder = Liar(change)
        listed = Recording(1, MADE.id, pages, FINAL, tuple(marks))
        minutes = marked_minutes.fetch(recorder, [listed], library, identity=OWNER if with_key else None)  # type: ignore[arg-type]
        assert len(minutes) <= len(marks)
        assert all(one.reason == "" or one.reason.endswith(".") for one in minutes)
        # A minute has 128 pages of speech; of noise, or of what cannot be opened, more are asked for, within bounds.
        assert recorder.read_pages <= 2 + len(marks) * 800
        for path in marked_minutes.waiting(library):
            assert path.stat().st_blocks * 512 <= (recorder.read_pages + 8) * PAGE
            if minutes and not minutes[0].reason and with_key:
                list(marked_minutes.sounds(path, OWNER))  # type: ignore[arg-type]

    throw()


def test_a_mark_at_the_end_asks_for_no_space_that_is_not_used_yet(library: Library) -> None:
    """A file is allocated hours ahead; where power was cut it stays so."""
    recorder = Liar({})
    listed = Recording(1, MADE.id, COUNT + 5000, FINAL, (COUNT - 3,))
    (minute,) = marked_minutes.fetch(recorder, [listed], library, identity=OWNER)  # type: ignore[arg-type]
    assert minute.reason == "" and minute.seconds > 2.5, "all of it is shorter than a minute"
    assert recorder.read_pages < COUNT + 80


def test_a_mark_far_into_a_recording_takes_no_memory_for_all_that_is_before(tmp_path: Path) -> None:
    """Each page has a key that follows from the one before: three days of them would take a hundred megabytes."""
    with Pages(tmp_path / "pages") as pages:
        pages.put(0, GOOD[:PAGE])
        opener = Opener(pages, OWNER)  # type: ignore[arg-type]
        header, _ = find_header(GOOD[:PAGE], GOOD[PAGE : 2 * PAGE])
        straight = keys.Ratchet(keys.recording_key(header, OWNER), header)
        wanted = {index: straight.page_key(index) for index in (1, 2, 1023, 1024, 1025, 2047, 5000, 60_000)}
        tracemalloc.start()
        for index in (60_000, 1024, 1, 2, 5000, 2047, 1023, 1025):
            assert opener._page_key(index) == wanted[index], index
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 3_000_000
