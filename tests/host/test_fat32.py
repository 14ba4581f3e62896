"""The reader of FAT32 images: whatever a card claims, it costs no more than what the card holds."""

from __future__ import annotations

import random
import struct
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from earwitness.errors import FormatError
from earwitness.fat32 import Fat32, FatFile
from tools.virtual.fat import make_card

CLUSTER = 512
END = 0x0FFFFFFF


class Image:
    """An empty card, to be written to by hand. Counts the table's sectors that are read."""

    def __init__(self, path: Path) -> None:
        make_card(path, 40 << 20)
        self.file = path.open("r+b")
        boot = self.file.read(512)
        assert boot[13] == 1
        (reserved,) = struct.unpack_from("<H", boot, 14)
        (sectors,) = struct.unpack_from("<I", boot, 36)
        self.table = reserved * 512
        self.root = (reserved + boot[16] * sectors) * 512
        (total,) = struct.unpack_from("<I", boot, 32)
        self.clusters = total - self.root // 512

    def link(self, chain: list[int], after: int = END) -> None:
        for cluster, behind in zip(chain, [*chain[1:], after], strict=True):
            self.file.seek(self.table + 4 * cluster)
            self.file.write(struct.pack("<I", behind))

    def fill(self, cluster: int, data: bytes) -> None:
        self.file.seek(self.root + (cluster - 2) * CLUSTER)
        self.file.write(data)

    def enter(self, number: int, cluster: int, size: int) -> None:
        self.file.seek(self.root + 32 * number)
        name = f"EW{number:06d}EWR".encode()
        self.file.write(struct.pack("<11sB8xH4xHI", name, 0x20, cluster >> 16, cluster & 0xFFFF, size))

    def open(self) -> tuple[Fat32, list[FatFile]]:
        self.file.flush()
        fat = Fat32(self.file)
        return fat, fat.files()


@pytest.fixture
def image(tmp_path: Path) -> Iterator[Image]:
    made = Image(tmp_path / "card.img")
    yield made
    made.file.close()


def test_a_scattered_file_is_read_from_anywhere(image: Image) -> None:
    chain = [10, 11, 12, 40, 41, 13, 99, 9, 8, 7]
    data = random.Random(1).randbytes(CLUSTER * len(chain) - 100)
    image.link(chain)
    for number, cluster in enumerate(chain):
        image.fill(cluster, data[number * CLUSTER : (number + 1) * CLUSTER])
    image.enter(1, chain[0], len(data))
    fat, (file,) = image.open()
    for offset, count in [
        (4000, 700),
        (0, 28),
        (0, 1 << 20),
        (511, 2),
        (5019, 5),
        (5020, 1),
        (2048, 512),
        (1 << 30, 1),
    ]:
        assert fat.read(file, offset, count) == data[offset : offset + count]


@pytest.mark.parametrize("chain", [[10], [10, 12], [10, 11, 12, 13, 14]])
@pytest.mark.parametrize("size", [1 << 20, 30 << 20, 0xFFFFFFFF])
def test_a_chain_that_bites_its_tail_costs_next_to_nothing(image: Image, chain: list[int], size: int) -> None:
    """A few bytes of a card that claim 4 GiB must neither take half a minute nor half a gigabyte."""
    image.link(chain, chain[0])
    image.enter(1, 10, size)
    fat, (file,) = image.open()
    asked: list[int] = []
    real, fat._next = fat._next, lambda cluster: (asked.append(cluster), real(cluster))[1]  # type: ignore[method-assign]
    tracemalloc.start()
    for offset in (0, size - 28):
        if offset or size == 0xFFFFFFFF:
            with pytest.raises(FormatError):
                fat.read(file, offset, 28)
        else:
            assert len(fat.read(file, offset, 28)) == 28
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(asked) < 50 and peak < 1 << 20


def test_a_tail_bitten_far_on_is_noticed_within_the_volume(image: Image) -> None:
    chain = list(range(10, 2000))
    image.link(chain, 1500)
    image.enter(1, 10, 30 << 20)
    fat, (file,) = image.open()
    assert len(fat.read(file, 1000 * CLUSTER, 28)) == 28
    with pytest.raises(FormatError, match="tail"):
        fat.read(file, 20 << 20, 28)
    with pytest.raises(FormatError, match="tail"):  # and again: what was followed is not counted twice
        fat.read(file, 20 << 20, 28)


def test_a_broken_chain_gives_what_stands_before_the_break(image: Image) -> None:
    image.link([10, 11, 12], 0)
    image.fill(12, b"x" * CLUSTER)
    image.enter(1, 10, CLUSTER * 10)
    fat, (file,) = image.open()
    for _ in range(2):
        with pytest.raises(FormatError, match="broken"):
            fat.read(file, 3 * CLUSTER, 1)
        assert fat.read(file, 2 * CLUSTER, 5) == b"xxxxx"


def test_a_root_folder_that_never_ends_is_refused(image: Image) -> None:
    image.link([2], 2)
    image.fill(2, b"\xe5" * CLUSTER)
    with pytest.raises(FormatError):
        image.open()


def test_memory_for_the_most_scattered_file_is_bounded_by_the_table(image: Image) -> None:
    chain = list(range(10, 60_010, 2)) + list(range(11, 60_011, 2))
    links = [0] * 60_011
    for cluster, behind in zip(chain, [*chain[1:], END], strict=True):
        links[cluster] = behind
    image.file.seek(image.table + 40)
    image.file.write(struct.pack(f"<{len(links) - 10}I", *links[10:]))
    image.enter(1, 10, len(chain) * CLUSTER)
    fat, (file,) = image.open()
    tracemalloc.start()
    assert len(fat.read(file, len(chain) * CLUSTER - 28, 100)) == 28
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 3 * 4 * len(chain)
