"""The card in a reader: the same checks as over the cable, on a folder or an image, preallocated files cut to size."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import sealed_recording
from earwitness.devices import DeviceRecord, DeviceStore
from earwitness.errors import FormatError, NoDeviceError
from earwitness.identity import Identity
from earwitness.import_card import import_card
from earwitness.item import DAMAGED, FAILED, NEW, PRESENT
from earwitness.library import Library
from link_device import SECRET, SEED

OWNER = Identity.generate()
FIRST = sealed_recording.make(SEED, OWNER.recipient_bytes, 1, 70)
SECOND = sealed_recording.make(SEED, OWNER.recipient_bytes, 2, 9)
OPEN = sealed_recording.make(SEED, OWNER.recipient_bytes, 3, 9, state="running")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARWITNESS_HOME", str(tmp_path / "home"))


@pytest.fixture
def library() -> Iterator[Library]:
    opened = Library()
    yield opened
    opened.close()


@pytest.fixture
def store() -> DeviceStore:
    made = DeviceStore()
    public = sealed_recording.public_key(SEED).hex()
    made.put(DeviceRecord(public, SECRET.hex(), "11" * 32, "Recorder", (OWNER.recipient_bytes.hex(),), 1, "", ""))
    return made


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """As a recorder leaves it: allocated ahead, with stale pages of an older recording in the space, and a file that is
    only prepared."""
    root = tmp_path / "card"
    root.mkdir()
    stale = sealed_recording.make(SEED, OWNER.recipient_bytes, 8, 5)
    (root / "EW000001.EWR").write_bytes(FIRST + bytes(4096 * 3) + stale[8192:] + bytes(5000))
    (root / "ew000002.ewr").write_bytes(SECOND)
    (root / "EW000003.EWR").write_bytes(OPEN + bytes(4096 * 20))
    (root / "EW000004.EWR").write_bytes(bytes(4096 * 8))
    (root / "HOLIDAY.JPG").write_bytes(b"not ours" * 1000)
    return root


def check(library: Library, report_items: list[tuple[int, str]], wanted: dict[int, bytes]) -> None:
    assert report_items == [(seq, NEW) for seq in wanted]
    found = {entry.seq: entry.path.read_bytes() for entry in library.entries()}
    assert found == wanted


def outcomes(path: Path, library: Library, store: DeviceStore) -> list[tuple[int, str]]:
    return [(item.seq, item.outcome) for item in import_card(path, library, store, identity=OWNER).items]


def test_a_mounted_card_is_taken_in_and_cut_to_size(card: Path, library: Library, store: DeviceStore) -> None:
    before = {path.name: path.read_bytes() for path in card.iterdir()}
    check(library, outcomes(card, library, store), {1: FIRST, 2: SECOND, 3: OPEN})
    assert {path.name: path.read_bytes() for path in card.iterdir()} == before
    again = outcomes(card, library, store)
    assert again == [(1, PRESENT), (2, PRESENT), (3, NEW)]  # 3 has no final note: it may have grown


@pytest.mark.parametrize("partitioned", [False, True])
def test_an_image_of_the_card_gives_the_same(
    card: Path, library: Library, store: DeviceStore, tmp_path: Path, partitioned: bool
) -> None:
    image = tmp_path / "card.img"
    bare = tmp_path / "bare.img"
    bare.write_bytes(b"")
    with bare.open("r+b") as file:
        file.truncate(40 << 20)
    subprocess.run(["mkfs.vfat", "-F", "32", "-s", "1", str(bare)], check=True, capture_output=True)
    subprocess.run(["mcopy", "-i", str(bare), *map(str, sorted(card.iterdir())), "::"], check=True)
    if partitioned:
        start = 2048
        sectors = (40 << 20) // 512
        entry = b"\0\0\0\0\x0c\0\0\0" + start.to_bytes(4, "little") + sectors.to_bytes(4, "little")
        image.write_bytes(bytes(446) + entry + bytes(48) + b"\x55\xaa" + bytes((start - 1) * 512) + bare.read_bytes())
    else:
        bare.rename(image)
    before = image.read_bytes()
    check(library, outcomes(image, library, store), {1: FIRST, 2: SECOND, 3: OPEN})
    assert image.read_bytes() == before


def test_an_interrupted_import_resumes(card: Path, library: Library, store: DeviceStore) -> None:
    part = library.root / f".{FIRST[12:28].hex()}.part"
    part.write_bytes(FIRST[: 4096 * 20 + 100])
    check(library, outcomes(card, library, store), {1: FIRST, 2: SECOND, 3: OPEN})


def test_a_changed_page_is_found(card: Path, library: Library, store: DeviceStore) -> None:
    data = bytearray(FIRST)
    data[4096 * 30 + 999] ^= 4
    (card / "EW000001.EWR").write_bytes(data)
    assert outcomes(card, library, store)[0] == (1, DAMAGED)


def test_a_card_of_a_recorder_that_is_not_paired_here_is_by_an_unknown_device(
    card: Path, library: Library, tmp_path: Path
) -> None:
    report = import_card(card, library, DeviceStore(tmp_path / "none"), identity=OWNER)
    assert report.items[0].outcome == NEW
    assert report.items[0].verdict is not None and report.items[0].verdict.by.ok is not True


def test_what_is_no_card_is_said_to_be_none(library: Library, store: DeviceStore, tmp_path: Path) -> None:
    with pytest.raises(NoDeviceError):
        import_card(tmp_path / "absent", library, store)
    junk = tmp_path / "junk.img"
    junk.write_bytes(bytes(1 << 20))
    with pytest.raises(FormatError, match="FAT32"):
        import_card(junk, library, store)


def test_a_fragmented_file_is_followed_and_a_broken_chain_is_told(
    library: Library, store: DeviceStore, tmp_path: Path
) -> None:
    image = tmp_path / "card.img"
    with image.open("wb") as file:
        file.truncate(40 << 20)
    subprocess.run(["mkfs.vfat", "-F", "32", "-s", "1", str(image)], check=True, capture_output=True)
    for number in range(40):  # holes of one page each, which the recording must then fill
        (tmp_path / "small").write_bytes(bytes(4096))
        subprocess.run(["mcopy", "-i", str(image), str(tmp_path / "small"), f"::S{number}"], check=True)
    subprocess.run(["mdel", "-i", str(image), *(f"::S{number}" for number in range(0, 40, 2))], check=True)
    (tmp_path / "EW000001.EWR").write_bytes(FIRST)
    subprocess.run(["mcopy", "-i", str(image), str(tmp_path / "EW000001.EWR"), "::"], check=True)
    check(library, outcomes(image, library, store), {1: FIRST})

    data = bytearray(image.read_bytes())
    reserved = int.from_bytes(data[14:16], "little") * 512
    (cluster,) = [
        int.from_bytes(data[at + 26 : at + 28], "little")
        for at in range(0, len(data), 32)
        if data[at : at + 11] == b"EW000001EWR"
    ]
    data[reserved + cluster * 4 : reserved + cluster * 4 + 4] = cluster.to_bytes(4, "little")  # bites its tail
    image.write_bytes(data)
    other = Library(tmp_path / "other")
    (item,) = import_card(image, other, store).items
    other.close()
    assert item.outcome in ("failed", DAMAGED)


def test_a_card_reader_that_fails_at_one_place_gives_the_rest(
    card: Path, library: Library, store: DeviceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from earwitness import import_card as module

    real = module._Folder.read

    def read(self: module._Folder, name: str, offset: int, count: int) -> bytes:
        if offset <= 4096 * 21 < offset + count and name == "EW000001.EWR":
            raise OSError(5, "Input/output error")
        return real(self, name, offset, count)

    monkeypatch.setattr(module._Folder, "read", read)
    report = import_card(card, library, store, identity=OWNER)
    (item,) = [item for item in report.items if item.seq == 1]
    assert item.outcome == DAMAGED and item.path is not None
    assert item.path.read_bytes() == FIRST[: 21 * 4096] + bytes(4096) + FIRST[22 * 4096 :]


@pytest.mark.parametrize("how", ["an error", "zeros"])
def test_a_recording_whose_first_page_the_card_lost_is_taken_in_by_its_copy(
    card: Path, library: Library, store: DeviceStore, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    from earwitness import import_card as module

    real = module._Folder.read

    def read(self: module._Folder, name: str, offset: int, count: int) -> bytes:
        if name == "EW000001.EWR" and offset < 4096:
            if how == "an error":
                raise OSError(5, "Input/output error")
            return (bytes(4096) + real(self, name, 4096, 1 << 20))[offset : offset + count]
        return real(self, name, offset, count)

    monkeypatch.setattr(module._Folder, "read", read)
    items = import_card(card, library, store, identity=OWNER).items
    assert [item.seq for item in items] == [1, 2, 3]
    assert items[0].outcome == DAMAGED and items[0].path is not None
    assert items[0].path.read_bytes() == bytes(4096) + FIRST[4096:]
    monkeypatch.undo()
    monkeypatch.setenv("EARWITNESS_HOME", str(library.root.parent))
    assert outcomes(card, library, store)[0] == (1, NEW)


def test_a_tampered_card_does_not_keep_the_genuine_recording_out(
    card: Path, library: Library, store: DeviceStore
) -> None:
    bad = bytearray(FIRST)
    bad[4096 * 10 + 100 : 4096 * 60] = bytes(4096 * 50 - 100)
    (card / "EW000001.EWR").write_bytes(bad)
    assert outcomes(card, library, store)[0] == (1, DAMAGED)
    (card / "EW000001.EWR").write_bytes(FIRST)
    assert outcomes(card, library, store)[0] == (1, NEW)
    (card / "EW000001.EWR").write_bytes(bad)
    assert outcomes(card, library, store)[0] == (1, PRESENT)
    assert {entry.seq: entry.path.read_bytes() for entry in library.entries()}[1] == FIRST


def test_a_number_that_no_recorder_counts_to_bricks_nothing(card: Path, library: Library, store: DeviceStore) -> None:
    crafted = bytearray(FIRST)
    crafted[28:68] = (1 << 63).to_bytes(8, "little") + b"\1" * 32
    (card / "EW000001.EWR").write_bytes(crafted[:4096])
    first, *rest = import_card(card, library, store, identity=OWNER).items
    assert first.outcome == FAILED and [item.outcome for item in rest] == [NEW, NEW]
    assert sorted(entry.seq for entry in library.entries()) == [2, 3]
