"""The volume over real FatFs: which cards it takes, what it finds on them, which word each failure gets."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

RIGS = Path(__file__).parent / "rigs"
PRELUDE = """
sys.path.append(ARGS["rigs"])
import storage
from recorder.errors import CardError
from recorder.store.volume import Volume
def kind(call, *arguments):
    try:
        call(*arguments)
        return "none raised"
    except CardError as error:
        return error.kind
card = storage.Blocks(ARGS["image"])
"""


def make_image(path: Path, *options: str, mib: int = 300) -> Path:
    with path.open("wb") as file:
        file.truncate(mib << 20)
    mkfs = shutil.which("mkfs.vfat") or "/usr/sbin/mkfs.vfat"
    subprocess.run([mkfs, *options, str(path)], check=True, capture_output=True)
    return path


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> str:
    return str(make_image(tmp_path_factory.mktemp("card") / "fat32.img", "-F", "32", "-s", "8"))


def arguments(image: str | Path) -> dict[str, str]:
    return {"image": str(image), "rigs": str(RIGS)}


def test_free_space_of_an_empty_card(mpy, image: str) -> None:
    free, seqs = mpy(PRELUDE + "v = Volume(card)\nemit(v.free_pages)\nemit(v.seqs())", args=arguments(image))
    assert 75_000 < free < 300 * 256
    assert seqs == []


def test_partitioned_card_is_mounted(mpy, image: str, tmp_path: Path) -> None:
    """Cards come with a partition table; the FAT32 volume then begins behind it."""
    disk = tmp_path / "mbr.img"
    table = bytearray(512)
    table[446:462] = (
        bytes([0, 0, 0, 0, 0x0C, 0, 0, 0]) + (2048).to_bytes(4, "little") + (600 << 10).to_bytes(4, "little")
    )
    table[510:] = b"\x55\xaa"
    with disk.open("wb") as file:
        file.write(table)
        file.seek(2048 * 512)
        file.write(Path(image).read_bytes()[: 4 << 20])  # the rest is zero
        file.truncate((2048 * 512) + (300 << 20))
    assert mpy(PRELUDE + "emit(Volume(card).free_pages > 75000)", args=arguments(disk)) == [True]


@pytest.mark.parametrize("system", ["fat16", "exfat", "ntfs", "blank", "fat32 in name only"])
def test_anything_but_fat32_is_refused(mpy, image: str, tmp_path: Path, system: str) -> None:
    disk = tmp_path / "other.img"
    if system == "fat16":
        make_image(disk, "-F", "16", mib=64)
    else:
        data = bytearray(64 << 20)
        if system == "exfat":
            data[:11] = b"\xeb\x76\x90EXFAT   "
        elif system == "ntfs":
            data[:11] = b"\xeb\x52\x90NTFS    "
        elif system == "fat32 in name only":
            data[:512] = Path(image).read_bytes()[:512]
            data[22] = 200
        if system != "blank":
            data[510:512] = b"\x55\xaa"
        disk.write_bytes(data)
    assert mpy(PRELUDE + "emit(kind(Volume, card))", args=arguments(disk)) == ["card not FAT32"]


def test_fat32_with_too_few_clusters_is_refused(mpy, tmp_path: Path) -> None:
    """FatFs takes such a volume for FAT16 whatever its boot sector says, and says so only when it is used."""
    disk = make_image(tmp_path / "small.img", "-F", "32", "-s", "8", mib=32)
    assert mpy(PRELUDE + "emit(kind(Volume, card))", args=arguments(disk)) == ["card not FAT32"]


def test_recordings_are_listed_by_number(mpy, image: str) -> None:
    source = (
        PRELUDE
        + """
v = Volume(card)
for file in ("EW000012.EWR", "EW000002.EWR", "NOTES.TXT", "EW1.EWR", "EWABCDEF.EWR", "OLD00000.EWR"):
    handle = v.fat.open(file, "wb")
    handle.write(bytes(5000))
    handle.close()
v.fat.mkdir("EW000099")
emit(v.seqs())
emit([v.has(2), v.has(3), v.pages(2), v.pages(3)])
"""
    )
    assert mpy(source, args=arguments(image)) == [[2, 12], [True, False, 1, 0]]


def test_pages_are_read_in_any_order(mpy, image: str) -> None:
    source = (
        PRELUDE
        + """
v = Volume(card)
for seq in (1, 2):
    handle = v.open(seq, "wb")
    for page in range(40):
        handle.write(bytes((seq * 100 + page,)) * 4096)
    handle.close()
into = bytearray(4096)
short = bytearray(34)
good = True
for seq, page in ((1, 0), (1, 1), (2, 39), (1, 39), (1, 3), (2, 4), (2, 5)):
    v.read_page(seq, page, into)
    good = good and into == bytes((seq * 100 + page,)) * 4096
    v.read_page(seq, page, memoryview(short))
    good = good and short == into[:34]
emit(good)
emit(kind(v.read_page, 1, 40, into))
emit(kind(v.read_page, 3, 0, into))
before = v.measure()
v.remove(2)
emit([v.seqs(), v.free_pages - before])
"""
    )
    assert mpy(source, args=arguments(image)) == [True, "card failed", "card failed", [[1], 40]]


def test_a_failed_read_tells_why_and_the_next_one_works(mpy, image: str) -> None:
    source = (
        PRELUDE
        + """
v = Volume(card)
handle = v.open(1, "wb")
card.writes.clear()
for page in range(4):
    handle.write(bytes((page,)) * 4096)
block = card.writes[-2][0]
handle.close()
into = bytearray(4096)
v.read_page(1, 0, into)
card.fail_read = block + 3
emit(kind(v.read_page, 1, 2, into))
v.read_page(1, 3, into)
emit(into == bytes((3,)) * 4096)
card.fail_read = None
v.read_page(1, 2, into)
emit(into == bytes((2,)) * 4096)
card.dead = True
card.last_error = "card pulled"
emit(kind(v.seqs))
emit(kind(Volume, card))
"""
    )
    assert mpy(source, args=arguments(image)) == ["card failed", True, True, "card pulled", "card pulled"]


def test_half_a_block_read_into_fats_window_is_never_written_back(mpy, image: str) -> None:
    """A card error raised in the middle of a FAT read leaves FatFs's window half overwritten: the volume mounts afresh."""
    source = (
        PRELUDE
        + """
v = Volume(card)
for seq in (1, 2, 3):
    handle = v.open(seq, "wb")
    handle.write(bytes((seq,)) * 100000)
    handle.close()
class Card:
    last_error = None
    tear = False
    def readblocks(self, block, buf, offset=0):
        if self.tear and len(buf) == 512:
            self.tear = False
            buf[:200] = b"Z" * 200
            raise OSError(5)
        return card.readblocks(block, buf, offset)
    def writeblocks(self, block, buf, offset=0):
        return card.writeblocks(block, buf, offset)
    def ioctl(self, op, arg):
        return card.ioctl(op, arg)
outer = Card()
v = Volume(outer)
outer.tear = True
emit(kind(v.remove, 2))
v.remove(1)
into = bytearray(100000)
v.read_page(3, 0, into)
emit([v.seqs(), into == bytes((3,)) * 100000])
v.read_page(2, 0, into)
emit(into == bytes((2,)) * 100000)
"""
    )
    assert mpy(source, args=arguments(image)) == ["card failed", [[2, 3], True], True]


def test_a_file_in_the_way_is_set_aside_whole(mpy, image: str) -> None:
    source = (
        PRELUDE
        + """
v = Volume(card)
for round in range(3):
    handle = v.open(7, "wb")
    handle.write(bytes((round + 1,)) * 8192)
    handle.close()
    v.set_aside(7)
emit(sorted([entry[0] for entry in v.fat.ilistdir("")]))
handle = v.fat.open("OLD00001.EWR", "rb")
emit(handle.read() == b"\\x02" * 8192)
emit(v.has(7))
"""
    )
    assert mpy(source, args=arguments(image)) == [["OLD00000.EWR", "OLD00001.EWR", "OLD00002.EWR"], True, False]
