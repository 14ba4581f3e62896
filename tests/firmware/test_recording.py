"""The recording file over real FatFs: space ahead, straight writes, and a file that a power cut at any write leaves whole."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

RIGS = Path(__file__).parent / "rigs"
PRELUDE = """
sys.path.append(ARGS["rigs"])
import gc
import storage
from recorder.errors import CardError
from recorder.store.preparing import prepare
from recorder.store.volume import Volume
def kind(call, *arguments):
    try:
        call(*arguments)
        return "none raised"
    except CardError as error:
        return error.kind
def page(value):
    return value.to_bytes(4, "little") * 1024
def fill(volume, leave_pages):
    handle = volume.fat.open("FILL.BIN", "wb")
    count = volume.measure() - leave_pages
    handle.seek((count - 1) * 4096)
    handle.write(bytes(4096))
    handle.close()
card = storage.Blocks(ARGS["image"])
volume = Volume(card)
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> dict[str, str]:
    path = tmp_path_factory.mktemp("card") / "fat32.img"
    with path.open("wb") as file:
        file.truncate(300 << 20)
    mkfs = shutil.which("mkfs.vfat") or "/usr/sbin/mkfs.vfat"
    subprocess.run([mkfs, "-F", "32", "-s", "8", str(path)], check=True, capture_output=True)
    return {"image": str(path), "rigs": str(RIGS)}


def test_pages_are_straight_writes_into_space_taken_before(mpy, image) -> None:
    source = (
        PRELUDE
        + """
file = prepare(volume, 1)
emit(volume.pages(1))
card.writes.clear()
file.begin(page(0), page(1))
for value in range(2, 40):
    file.append(page(value))
emit([len(card.writes), all(write == (card.writes[0][0] + 8 * index, 8) for index, write in enumerate(card.writes))])
emit(volume.pages(1))
file.close()
emit(volume.pages(1))
into = bytearray(4096)
good = 0
for value in range(40):
    volume.read_page(1, value, into)
    good += into == page(value)
emit(good)
"""
    )
    assert mpy(source, args=image) == [2048, [40, True], 2048, 40, 40]


def test_it_extends_by_8_mib_when_2_mib_remain(mpy, image) -> None:
    source = (
        PRELUDE
        + """
file = prepare(volume, 1)
room = file.room_pages()
file.begin(page(0), page(1))
card.writes.clear()
for value in range(2, 1537):
    file.append(page(value))
    file.extend()
    if volume.pages(1) != 2048:
        break
emit([value, volume.pages(1), room - file.room_pages()])
for value in range(value + 1, 3000):
    file.append(page(value))
file.close()
emit(volume.pages(1))
into = bytearray(4096)
good = 0
for value in range(0, 3000, 7):
    volume.read_page(1, value, into)
    good += into == page(value)
emit(good == len(range(0, 3000, 7)))
"""
    )
    assert mpy(source, args=image, heap="64M") == [[1536, 4096, 1537], 3000, True]


def test_a_nearly_full_card_is_used_to_its_end(mpy, image) -> None:
    source = (
        PRELUDE
        + """
fill(volume, 300)
file = prepare(volume, 1)
emit(file.room_pages())
file.begin(page(0), page(1))
for value in range(2, 300):
    file.append(page(value))
    file.extend()
emit(file.room_pages())
emit(kind(file.append, page(300)))
file.close()
emit(volume.pages(1))
"""
    )
    assert mpy(source, args=image, heap="64M") == [300, 0, "card full", 300]


def test_room_counts_what_is_free_beyond_the_space_taken(mpy, image) -> None:
    source = (
        PRELUDE
        + """
fill(volume, 3000)
file = prepare(volume, 1)
emit(file.room_pages())
file.begin(page(0), page(1))
emit(file.room_pages())
for value in range(2, 3000):
    file.append(page(value))
emit([file.room_pages(), kind(file.append, page(3000))])
file.close()
"""
    )
    assert mpy(source, args=image, heap="64M") == [3000, 2998, [0, "card full"]]


def test_less_than_1_mib_is_card_full_and_leaves_nothing_behind(mpy, image) -> None:
    source = (
        PRELUDE
        + """
fill(volume, 255)
free = volume.measure()
emit(kind(prepare, volume, 1))
emit([volume.has(1), volume.measure() - free])
"""
    )
    assert mpy(source, args=image) == ["card full", [False, 0]]


def test_a_free_count_that_is_wrong_is_found_out(mpy, image) -> None:
    """FAT's own free count goes stale at a power cut; what the seek reached is what counts."""
    source = (
        PRELUDE
        + """
fill(volume, 2100)
info = bytearray(512)
card.readblocks(1, info)
info[488:492] = (70000).to_bytes(4, "little")
card.writeblocks(1, info)
volume = Volume(card)
file = prepare(volume, 1)
emit(file.room_pages() > 60000)
file.begin(page(0), page(1))
for value in range(2, 2100):
    file.append(page(value))
    file.extend()
emit([file.room_pages(), kind(file.append, page(2100))])
file.close()
emit(volume.pages(1))
"""
    )
    assert mpy(source, args=image, heap="64M") == [True, [0, "card full"], 2100]


def test_a_prepared_file_is_used_again(mpy, image) -> None:
    source = (
        PRELUDE
        + """
free = volume.measure()
for turn in range(3):
    file = prepare(volume, 5)
    file.abandon()
    gc.collect()
emit([free - volume.measure(), volume.seqs(), [entry[0] for entry in volume.fat.ilistdir("")]])
"""
    )
    assert mpy(source, args=image) == [[2048, [5], ["EW000005.EWR"]]]


def test_a_recording_in_the_way_is_never_overwritten(mpy, image) -> None:
    """Another recorder's card may hold the very name that this one is to use next."""
    source = (
        PRELUDE
        + """
handle = volume.open(1, "wb")
handle.write(page(77) + page(78))
handle.close()
file = prepare(volume, 1)
file.begin(page(0), page(1))
file.close()
handle = volume.fat.open("OLD00000.EWR", "rb")
emit(handle.read() == page(77) + page(78))
emit(volume.pages(1))
"""
    )
    assert mpy(source, args=image) == [True, 2]


def test_an_abandoned_file_is_never_written_again(mpy, image) -> None:
    """The collector closes what nobody holds, and FatFs's close would write an old directory block to a new card."""
    source = (
        PRELUDE
        + """
def leave():
    file = prepare(volume, 1)
    file.begin(page(0), page(1))
    file.append(page(2))
    file.abandon()
leave()
card.writes.clear()
for _ in range(3):
    gc.collect()
    bytearray(100000)
emit(card.writes)
emit(volume.pages(1))
"""
    )
    assert mpy(source, args=image) == [[], 2048]


def test_after_an_error_nothing_more_is_written(mpy, image) -> None:
    source = (
        PRELUDE
        + """
file = prepare(volume, 1)
file.begin(page(0), page(1))
card.fail_write = card.writes[-1][0] + 8
emit(kind(file.append, page(2)))
card.fail_write = None
card.writes.clear()
emit([kind(file.append, page(2)), kind(file.close), kind(file.begin, page(0), page(1))])
file.abandon()
del file
gc.collect()
emit(card.writes)
emit(volume.pages(1))
again = prepare(volume, 2)
again.begin(page(0), page(1))
again.close()
emit(volume.pages(2))
"""
    )
    expected = ["card failed", ["card failed"] * 3, [], 2048, 2]
    assert mpy(source, args=image) == expected


def test_power_cut_at_every_write(mpy, image) -> None:
    """Whatever write is cut, every page that append returned for can be read, and the volume goes on working."""
    source = (
        PRELUDE
        + """
def life(card, done):
    volume = Volume(card)
    file = prepare(volume, 1)
    done[0] = 0
    file.begin(page(0), page(1))
    done[0] = 2
    for value in range(2, 12):
        file.append(page(value))
        done[0] = value + 1
    file.close()
    done[1] = True
blank = storage.Blocks(ARGS["image"])
life(blank, [None, False])
total = len(blank.writes)
lost = []
into = bytearray(4096)
for kept in (0, 4, 7):
    for cut in range(1, total + 1):
        card = storage.Blocks(ARGS["image"])
        card.cut_at = cut
        card.kept = kept
        done = [None, False]
        try:
            life(card, done)
        except storage.Cut:
            pass
        card = card.again()
        volume = Volume(card)
        if done[0] is not None:
            if volume.pages(1) < done[0]:
                lost.append((cut, kept, "pages", volume.pages(1)))
            for value in range(done[0]):
                volume.read_page(1, value, into)
                if into != page(value):
                    lost.append((cut, kept, "page", value))
        volume = Volume(card)
        file = prepare(volume, 2)
        file.begin(page(50), page(51))
        file.close()
        volume.read_page(2, 1, into)
        if into != page(51):
            lost.append((cut, kept, "next"))
        gc.collect()
emit([total > 20, lost])
"""
    )
    assert mpy(source, args=image, heap="64M") == [[True, []]]
