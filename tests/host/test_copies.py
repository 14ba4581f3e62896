"""Several copies of one recording: the better one stays, a bad one never stands in the way, and no copying ends too soon."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from earwitness import places
from earwitness.copies import Choice, choose
from earwitness.copying import take_all
from earwitness.item import DAMAGED, FAILED, GONE, NEW, PRESENT, SKIPPED, Item
from earwitness.library import Library
from earwitness.link.client import Page
from earwitness.link.messages import FINAL, FREED, Recording
from earwitness.verify import verify
from host import maker
from host.maker import PAGE, Device, Owner

OWNER = Owner()
MADE, _ = maker.normal(pages=150)
GOOD = MADE.bytes()
CHECKPOINTS = [number for number, page in enumerate(MADE.file) if page[4] == 3]
KEY = MADE.device.public


class Shelf:
    """A source that holds one file and counts what is read of it. Pages in `bad` cannot be read."""

    how = "USB"
    to_the_end = False

    def __init__(self, data: bytes, *, state: int = FINAL, bad: tuple[int, ...] = ()) -> None:
        self._data, self._state, self._bad = data, state, bad
        self.read_pages = 0

    def recordings(self) -> list[Recording]:
        return [Recording(1, MADE.id, len(self._data) // PAGE, self._state)]

    def read(self, recording: Recording, first: int, stop: int | None = None) -> Iterator[Page]:
        for number in range(first, recording.pages if stop is None else stop):
            self.read_pages += 1
            page = self._data[number * PAGE : (number + 1) * PAGE]
            yield Page(number, None if number in self._bad else page)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARWITNESS_HOME", str(tmp_path / "home"))


@pytest.fixture
def library() -> Iterator[Library]:
    opened = Library()
    yield opened
    opened.close()


def take(library: Library, source: Shelf | bytes, pinned: set[bytes] | None = None) -> Item:
    source = Shelf(source) if isinstance(source, bytes) else source
    (item,) = take_all(source, library, pinned={KEY} if pinned is None else pinned, identity=OWNER)
    return item


def spoilt(data: bytes, *pages: int) -> bytes:
    changed = bytearray(data)
    for number in pages:
        changed[number * PAGE + 200] ^= 1
    return bytes(changed)


def held(library: Library) -> bytes:
    (entry,) = library.entries()
    return entry.path.read_bytes()


def others(library: Library) -> list[bytes]:
    return [path.read_bytes() for path in (library.root / "other copies").glob("*.ewr")]


UNFINISHED = b"".join(MADE.file[:140])


@pytest.mark.parametrize(
    "worse",
    [
        GOOD[:PAGE] + b"\xaa" * PAGE * 3,
        GOOD[: 2 * PAGE],
        UNFINISHED[: 100 * PAGE],
        spoilt(UNFINISHED, 40),
        spoilt(UNFINISHED, CHECKPOINTS[1]),
        UNFINISHED[: 70 * PAGE] + UNFINISHED[71 * PAGE :],
    ],
    ids=["header and junk", "beginning", "shorter", "page", "checkpoint", "page missing"],
)
def test_a_worse_copy_never_replaces_a_better_one(library: Library, worse: bytes) -> None:
    assert take(library, UNFINISHED).outcome == NEW
    item = take(library, worse)
    assert item.outcome in (DAMAGED, PRESENT) and item.path is None and "stays" in item.reason
    assert held(library) == UNFINISHED and others(library) == []
    assert not list(library.root.glob(".*.part"))


@pytest.mark.parametrize("worse", [GOOD[:-PAGE], spoilt(GOOD, 30)], ids=["without its end", "page"])
def test_nor_does_one_added_by_hand_or_without_the_end(library: Library, tmp_path: Path, worse: bytes) -> None:
    take(library, GOOD)
    path = tmp_path / "worse.ewr"
    path.write_bytes(worse)
    library.add(path, how="card")
    assert held(library) == GOOD and path.exists()


def test_a_poisoned_copy_does_not_keep_the_genuine_one_out(library: Library) -> None:
    """A card that was tampered with, or a forged audio page on the cable: the end looks well, the middle is not."""
    assert take(library, spoilt(GOOD, *range(10, 60))).outcome == DAMAGED
    assert take(library, GOOD).outcome == NEW
    assert held(library) == GOOD
    again = Shelf(GOOD)
    assert take(library, again).outcome == PRESENT and again.read_pages == 0


def test_a_copy_that_decayed_on_this_disk_is_fetched_again(library: Library) -> None:
    item = take(library, GOOD)
    assert item.path is not None
    item.path.write_bytes(spoilt(GOOD, 50))
    assert take(library, GOOD).outcome == NEW
    assert held(library) == GOOD


def test_what_a_later_check_finds_counts(library: Library) -> None:
    """The same size and time as before, but verified since."""
    item = take(library, GOOD)
    assert item.path is not None
    bad = library.root.parent / "bad.ewr"
    bad.write_bytes(spoilt(GOOD, 50))
    library.learn(library.entry(item.path), verify(bad))
    assert take(library, GOOD).outcome == NEW


def test_without_an_index_what_is_here_is_verified_and_not_fetched(library: Library) -> None:
    take(library, GOOD)
    library.close()
    for path in places.state_dir().glob("index-*"):
        path.unlink()
    again, source = Library(), Shelf(GOOD)
    assert take(again, source).outcome == PRESENT and source.read_pages == 0
    again.close()


def test_what_the_recorder_freed_is_not_called_present_unless_it_is_whole(library: Library) -> None:
    take(library, spoilt(GOOD, 20))
    item = take(library, Shelf(GOOD, state=FREED))
    assert item.outcome == GONE and "not whole" in item.reason


def test_a_whole_recording_by_another_key_with_the_same_id_does_not_count(library: Library) -> None:
    forger = Device(9)
    forger.seed = 1  # from which the maker takes the id, and not any more the key
    forged, _ = maker.normal(device=forger)
    assert forged.id == MADE.id and forged.device.public != KEY
    assert take(library, forged.bytes(), pinned=set()).outcome == NEW
    assert take(library, GOOD).outcome == NEW
    assert sorted(entry.path.read_bytes() for entry in library.entries()) == sorted([GOOD, forged.bytes()])


@pytest.mark.parametrize("at", [b"state running", b"state runninh"], ids=["of the state", "of another letter"])
def test_one_flipped_bit_in_a_checkpoint_does_not_end_the_copying(library: Library, at: bytes) -> None:
    """`state running` that cannot be read as such is no end: only a signed one is."""
    changed = bytearray(GOOD)
    place = GOOD.index(b"state running", CHECKPOINTS[1] * PAGE)
    changed[place + 8 if at.endswith(b"g") else place + 12] ^= 1
    source = Shelf(bytes(changed))
    item = take(library, source)
    assert source.read_pages == len(MADE.file) and held(library) == bytes(changed)
    assert item.outcome == DAMAGED and item.verdict is not None and item.verdict.complete.state == "complete"
    assert take(library, GOOD).outcome == NEW and held(library) == GOOD


def test_a_forged_end_does_not_end_the_copying(library: Library) -> None:
    """Even the whole text of an end is worth nothing without its signature."""
    changed = GOOD.replace(b"\nstate running\n", b"\nstate end\n....")
    item = take(library, changed)
    assert item.bytes == len(GOOD) and item.verdict is not None and item.verdict.final_note


def test_copying_ends_at_the_signed_end_of_a_file_allocated_ahead(library: Library) -> None:
    source = Shelf(GOOD + bytes(PAGE * 300))
    assert take(library, source).outcome == NEW
    assert source.read_pages == len(MADE.file) and held(library) == GOOD


def test_where_the_end_is_spoilt_all_of_the_file_is_read(library: Library) -> None:
    source = Shelf(spoilt(GOOD, len(MADE.file) - 1) + bytes(PAGE * 5))
    item = take(library, source)
    assert source.read_pages == len(MADE.file) + 5
    assert item.verdict is not None and item.verdict.complete.state == "unfinished"
    assert take(library, GOOD).outcome == NEW and held(library) == GOOD


def test_a_part_that_only_looks_finished_is_taken_up_again(library: Library) -> None:
    changed = bytearray(GOOD[: (CHECKPOINTS[1] + 1) * PAGE])
    changed[changed.index(b"state running", CHECKPOINTS[1] * PAGE) + 8] ^= 1
    (library.root / f".{MADE.id.hex()}.part").write_bytes(changed)
    assert take(library, GOOD).outcome == NEW and held(library) == GOOD


def test_two_copies_with_damage_in_different_places_are_both_kept_until_a_whole_one_comes(library: Library) -> None:
    one, two = spoilt(GOOD, 10, 11), spoilt(GOOD, 80)
    take(library, one)
    item = take(library, two)
    assert item.outcome == DAMAGED and "is kept as" in item.reason
    assert held(library) == two and others(library) == [one]  # the one that proves more has the name
    for words in ("is kept as", "the copy here stays"):  # the second time it is known, and not read from end to end
        assert words in take(library, one).reason
        assert held(library) == two and others(library) == [one]
    assert take(library, GOOD).outcome == NEW and held(library) == GOOD


def test_an_intact_beginning_stays_beside_a_damaged_whole(library: Library) -> None:
    take(library, UNFINISHED)
    item = take(library, spoilt(GOOD, 30))
    assert item.outcome == DAMAGED and item.path is not None and item.path.parent.name == "other copies"
    assert held(library) == UNFINISHED and others(library) == [spoilt(GOOD, 30)]
    assert take(library, GOOD).outcome == NEW and held(library) == GOOD


def test_pages_behind_the_last_checkpoint_are_not_given_up_for_others(library: Library) -> None:
    """Nobody vouches for either."""
    tail = spoilt(UNFINISHED, 139)
    take(library, UNFINISHED)
    assert "is kept as" in take(library, tail).reason
    assert held(library) == UNFINISHED and others(library) == [tail]


def test_two_recordings_that_one_key_signed_under_one_id_are_both_kept(tmp_path: Path) -> None:
    other, _ = maker.begin()
    other.finish()
    assert other.id == MADE.id
    (tmp_path / "a").write_bytes(GOOD)
    (tmp_path / "b").write_bytes(other.bytes())
    assert choose(tmp_path / "b", tmp_path / "a") is Choice.KEEP_BOTH
    assert choose(tmp_path / "a", tmp_path / "b") is Choice.KEEP_BOTH


@pytest.mark.parametrize("pinned", [{KEY}, {KEY, Device(5).public}])
def test_a_recording_whose_first_page_cannot_be_read_comes_home_by_its_copy(
    library: Library, pinned: set[bytes]
) -> None:
    item = take(library, Shelf(GOOD, bad=(0,)), pinned)
    assert item.outcome == DAMAGED and item.verdict is not None
    assert item.verdict.by.ok is True and item.verdict.pages == len(MADE.hashes) - 1
    assert held(library) == bytes(PAGE) + GOOD[PAGE:]
    assert not list(library.root.glob(".*.part"))
    assert take(library, GOOD).outcome == NEW and held(library) == GOOD


def test_a_first_page_whose_id_decayed_does_not_make_it_another_recording(library: Library) -> None:
    changed = bytearray(GOOD)
    changed[14] ^= 1
    item = take(library, bytes(changed))
    assert item.outcome == DAMAGED and item.verdict is not None and item.verdict.recording_id == MADE.id


def test_without_header_and_copy_nothing_is_taken_in(library: Library) -> None:
    shelf = Shelf(GOOD, bad=(0, 1))
    item = take(library, shelf)
    assert item.outcome == FAILED and library.entries() == [] and "neither its beginning" in item.reason
    assert shelf.read_pages == 2, "the rest is of no use, and may be a million pages that a broken recorder tells of"


def test_a_recorder_that_lists_thousands_and_gives_none_is_given_up(library: Library) -> None:
    class Boaster(Shelf):
        def recordings(self) -> list[Recording]:
            return [Recording(seq, seq.to_bytes(16, "big"), 3, FINAL) for seq in range(1, 3001)]

    shelf = Boaster(GOOD, bad=(0, 1))
    items = take_all(shelf, library, pinned={KEY}, identity=OWNER)
    assert [item.outcome for item in items] == [FAILED] * 3000 and shelf.read_pages == 100
    assert items[-1].reason == "not tried: the 50 before it were not copied"
    assert not list(library.root.glob("*.ewr")) and not list(library.root.glob(".*.part"))


@pytest.mark.parametrize("state", [0, 6, 77, 127])
def test_what_is_in_a_state_of_a_later_version_is_left_alone(library: Library, state: int) -> None:
    shelf = Shelf(GOOD, state=state)
    item = take(library, shelf)
    assert (item.outcome, shelf.read_pages) == (SKIPPED, 0) and "does not know" in item.reason


def test_an_interrupted_copy_without_its_first_page_is_taken_up_again(library: Library) -> None:
    (library.root / f".{MADE.id.hex()}.part").write_bytes(bytes(PAGE) + GOOD[PAGE : 100 * PAGE])
    source = Shelf(GOOD, bad=(0,))
    take(library, source)
    # from page 100 on; then, as damaged as it is, once more from the beginning: what was left here might have been it
    assert source.read_pages == len(MADE.file) - 100 + len(MADE.file)
