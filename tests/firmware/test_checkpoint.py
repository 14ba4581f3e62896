"""Checkpoint pages: the layout, byte for byte, and a parser that nothing on a card can lead astray."""

from __future__ import annotations

import hashlib
import struct

PRELUDE = """
from recorder.errors import FormatError
from recorder.seal import checkpoint, checkpoint_fields
recording_id = bytes(range(16))
def hashes(first, count):
    return [bytes((value & 255,)) * 32 for value in range(first, first + count)]
def verdict(page):
    try:
        checkpoint_fields.parse(page)
        return "taken"
    except FormatError as error:
        return str(error)
"""


def test_layout_of_a_later_checkpoint(mpy) -> None:
    source = PRELUDE + 'emit(checkpoint.page(recording_id, 75, 11, b"note text", hashes(1, 64), hashes(100, 3)).hex())'
    page = bytes.fromhex(mpy(source)[0])
    listed = b"".join(bytes([i]) * 32 for i in range(1, 65))
    ranged = b"".join(bytes([i]) * 32 for i in range(100, 103))
    expected = b"EWR1\x03\x01\0\0" + struct.pack("<I", 75) + bytes(range(16)) + struct.pack("<IH", 11, 9)
    expected += b"note text" + listed + ranged
    assert page == expected.ljust(4096, b"\0")


def test_layout_of_checkpoint_0(mpy) -> None:
    header = bytearray(hashlib.shake_128(b"header").digest(4096))
    header[100:102] = struct.pack("<H", 232)
    source = PRELUDE + (
        'emit(checkpoint.page(recording_id, 1, 0, b"note", hashes(7, 1), [], bytes.fromhex(ARGS["header"])).hex())'
    )
    page = bytes.fromhex(mpy(source, args={"header": header.hex()})[0])
    expected = b"EWR1\x03\x01\0\0" + struct.pack("<I", 1) + bytes(range(16)) + struct.pack("<IH", 0, 4) + b"note"
    expected += b"\x07" * 32 + bytes(header[: 102 + 232]) + bytes(header[4080:])
    assert page == expected.ljust(4096, b"\0")


def test_what_was_built_is_parsed(mpy) -> None:
    source = (
        PRELUDE
        + """
for n, p in ((75, 11), (64, 64), (1, 1), (2, 1), (0xFFFFF, 0xFFFFF - 64)):
    ones = bin(p).count("1")
    found = checkpoint_fields.parse(checkpoint.page(recording_id, n, p, b"x" * 500, hashes(1, n - p), hashes(90, ones)))
    emit([found.n == n, found.p == p, found.recording_id == recording_id, found.note == b"x" * 500,
          found.leaves == hashes(1, n - p), found.range == hashes(90, ones), found.header_page is None])
header = bytearray(4096)
for at in range(102 + 428):
    header[at] = at * 31 & 255
header[100] = 428 & 255
header[101] = 428 >> 8
header[4080:] = b"device tag of 16"
found = checkpoint_fields.parse(checkpoint.page(recording_id, 1, 0, b"note", hashes(7, 1), [], header))
emit([found.header_page == header])
"""
    )
    assert mpy(source) == [[True] * 7] * 5 + [[True]]


def test_a_page_that_says_too_much_is_refused(mpy) -> None:
    source = (
        PRELUDE
        + """
from struct import pack_into
good = checkpoint.page(recording_id, 75, 11, b"note", hashes(1, 64), hashes(100, 3))
emit(verdict(good))
def spoiled(offset, layout, value):
    page = bytearray(good)
    pack_into(layout, page, offset, value)
    emit(verdict(page))
spoiled(0, "<B", 0)
spoiled(4, "<B", 2)
spoiled(5, "<B", 2)
spoiled(6, "<H", 1)
spoiled(8, "<I", 76)
spoiled(8, "<I", 10)
spoiled(8, "<I", 0xFFFFFFFF)
spoiled(28, "<I", 76)
spoiled(28, "<I", 0)
spoiled(32, "<H", 0xFFFF)
spoiled(4095, "<B", 1)
emit(verdict(good[:4095]))
emit(verdict(bytes(4096)))
# The most that each field may say, all at once, does not fit in a page.
page = bytearray(good)
pack_into("<I", page, 8, 0xFFFFFFFF)
pack_into("<I", page, 28, 0xFFFFFFBF)
pack_into("<H", page, 32, 1024)
emit(verdict(page))
# Checkpoint 0 whose copy of page 0 claims a long envelope
page = checkpoint.page(recording_id, 1, 0, b"note", hashes(7, 1), [], bytearray(4096))
emit(verdict(page))
page[34 + 4 + 32 + 101] = 255
emit(verdict(page))
"""
    )
    found = mpy(source)
    assert found[0] == "taken"
    assert found[-2] == "taken"
    assert all(one != "taken" for one in [*found[1:-2], found[-1]])


def test_parser_survives_noise(mpy) -> None:
    source = (
        PRELUDE
        + """
import random
random.seed(7)
good = checkpoint.page(recording_id, 75, 11, b"note", hashes(1, 64), hashes(100, 3))
zero = checkpoint.page(recording_id, 1, 0, b"note", hashes(7, 1), [], bytearray(4096))
refused = 0
for turn in range(600):
    page = bytearray(good if turn & 1 else zero)
    for _ in range(1 + random.getrandbits(2)):
        page[random.getrandbits(12) if turn & 2 else random.getrandbits(5) + 4] = random.getrandbits(8)
    if verdict(page) != "taken":
        refused += 1
emit(refused > 200)
"""
    )
    assert mpy(source) == [True]
