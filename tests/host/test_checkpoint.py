"""Checkpoint pages are compared as a whole."""

from __future__ import annotations

import struct

import pytest

from earwitness import checkpoint, page
from earwitness.errors import EarwitnessError
from host import maker
from host.maker import Device, Recording

RECORDING, _ = maker.normal(100)
HEADER = page.parse_header(RECORDING.file[0])
PLACES = [i for i, data in enumerate(RECORDING.file) if data[4] == 3]


def test_every_checkpoint_is_read():
    found = [checkpoint.parse(RECORDING.file[i], HEADER) for i in PLACES]
    assert [(c.p, c.n, c.note.state) for c in found] == [(0, 1, "running"), (1, 65, "running"), (65, 102, "end")]
    assert found[2].tree.root() == maker.root(RECORDING.hashes)
    assert list(found[1].leaves) == RECORDING.hashes[1:65]


def test_pages_made_here_are_those_of_the_specification():
    for place in PLACES:
        found = checkpoint.parse(RECORDING.file[place], HEADER)
        made = checkpoint.page(
            RECORDING.id,
            found.n,
            found.p,
            signed_note=found.note.text,
            leaves=found.leaves,
            range_=found.range,
            header_page=RECORDING.file[0] if found.p == 0 else None,
        )
        assert made == RECORDING.file[place]


@pytest.mark.parametrize("which", [0, 1, 2])
def test_every_byte_counts(which):
    good = RECORDING.file[PLACES[which]]
    for at in range(0, 4096, 7):
        bad = good[:at] + bytes([good[at] ^ 0x10]) + good[at + 1 :]
        with pytest.raises(EarwitnessError):
            checkpoint.parse(bad, HEADER)


@pytest.mark.parametrize(("n", "p"), [(66, 1), (65, 66), (1, 1), (2, 0), (1 << 31, (1 << 31) - 1)])
def test_counts_that_contradict_each_other_are_refused(n, p):
    data = bytearray(RECORDING.file[PLACES[1]])
    data[8:12], data[28:32] = struct.pack("<I", n), struct.pack("<I", p)
    with pytest.raises(EarwitnessError):
        checkpoint.parse(bytes(data), HEADER)


def test_more_than_64_listed_leaves_are_refused():
    recording = Recording(Device(), [maker.Owner()])
    for number in range(65):
        recording.covered = len(recording.hashes)
        recording.sound(maker.tone(20, number))
    recording.covered = 1
    recording.checkpoint("end")
    with pytest.raises(EarwitnessError):
        checkpoint.parse(recording.file[-1], page.parse_header(recording.file[0]))


def test_the_header_comes_back_from_checkpoint_0():
    assert checkpoint.header_copy(RECORDING.file[1]) == HEADER
    for at in (9, 40, 300, 420, 500, 1000, 4000):
        data = bytearray(RECORDING.file[1])
        data[at] ^= 1
        with pytest.raises(EarwitnessError):
            checkpoint.header_copy(bytes(data))


def test_a_checkpoint_of_another_recording_is_refused():
    other, _ = maker.normal(device=Device(seq=1, prev=bytes(31) + b"\1"), seed=2)
    with pytest.raises(EarwitnessError):
        checkpoint.parse(other.file[1], HEADER)
