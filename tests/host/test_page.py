"""Headers, envelopes, the ratchet, bodies and events."""

from __future__ import annotations

import struct

import pytest

from earwitness import body, events, keys, page
from earwitness.errors import FormatError, IntegrityError
from earwitness.keys import Ratchet
from host import maker
from host.maker import Device, Owner, Recording


@pytest.fixture(scope="module")
def recording() -> Recording:
    return maker.normal(owners=[Owner(1), Owner(2)])[0]


def test_a_header_is_read(recording):
    header = page.parse_header(recording.file[0])
    assert (header.recording_id, header.seq, header.prev) == (recording.id, 1, bytes(32))
    assert header.device == recording.device.public and header.leaf == recording.hashes[0]
    assert page.check_envelope(header.envelope) == 2


def put(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


@pytest.mark.parametrize(
    ("at", "new"),
    [
        (0, b"EWR2"),
        (4, b"\2"),
        (5, b"\2"),
        (6, b"\1"),
        (8, b"\0\0\1\0"),
        (28, bytes(8)),  # seq 0
        (28, struct.pack("<Q", 2)),  # seq 2 on nothing
        (28, struct.pack("<Q32s", 1 << 32, b"\1" * 32)),  # more than journal and file names hold
        (28, struct.pack("<Q32s", (1 << 64) - 1, b"\1" * 32)),
        (36, b"\1"),  # seq 1 on something
        (100, struct.pack("<H", 232)),
        (100, struct.pack("<H", 4050)),
        (102, b"b"),
        (130, b"="),
        (4000, b"\1"),
        (4048, b"\1"),  # tag
    ],
)
def test_a_header_that_breaks_a_rule_is_refused(recording, at, new):
    with pytest.raises(FormatError):
        page.parse_header(put(recording.file[0], at, new))


def test_the_highest_number_is_accepted(recording):
    page.parse_header(put(recording.file[0], 28, struct.pack("<Q32s", (1 << 32) - 1, b"\1" * 32)))


def test_an_envelope_with_another_kind_of_stanza_is_refused(recording):
    good = recording.envelope
    for old, new in [
        (b"-> X25519 ", b"-> scrypt "),
        (b"--- ", b"---A"),
        (b"age-encryption.org/v1", b"age-encryption.org/v2"),
    ]:
        assert old in good
        with pytest.raises(FormatError):
            page.check_envelope(good.replace(old, new))
    for size in (0, 133, 134, 134 + 4 * 98):
        with pytest.raises(FormatError):
            page.check_envelope(good[:size].ljust(size, b"A"))


def test_the_ratchet_gives_the_keys_of_the_specification(recording):
    header = page.parse_header(recording.file[0])
    key = keys.recording_key(header, Owner(2))
    every, some = Ratchet(key, header), Ratchet(key, header)
    assert [every.page_key(i) for i in range(1, 8)] == recording.page_keys[1:8]
    assert some.page_key(5) == recording.page_keys[5]
    with pytest.raises(ValueError):
        some.page_key(5)


def test_an_envelope_that_holds_no_key_is_refused(recording):
    class Wrong:
        def open_envelope(self, _envelope: bytes) -> bytes:
            return bytes(31)

    with pytest.raises(IntegrityError):
        keys.recording_key(page.parse_header(recording.file[0]), Wrong())


def test_hmac_by_hand_is_hmac():
    assert keys.hmac32(bytes(range(32)), b"message") == maker.mac(bytes(range(32)), b"message")


def test_pages_that_are_none_are_none(recording):
    leaf = recording.file[2]
    assert page.start(leaf) == (page.AUDIO, 1, recording.id)
    for bad in (
        b"",
        leaf[:-1],
        put(leaf, 0, b"X"),
        put(leaf, 4, b"\4"),
        put(leaf, 5, b"\2"),
        put(leaf, 7, b"\1"),
        put(leaf, 28, b"\1"),
    ):
        assert page.start(bad) is None


def test_a_body_is_read():
    plain = struct.pack("<QQHHHBBII", 16, 5, 3, 10, 6, 0, 0, 2, 0) + maker.event(99, 4) + b"abcdef"
    found = body.parse(plain.ljust(4016, b"\0"))
    assert (found.first_sample, found.mono_us, found.samples, found.lost_before, found.end) == (16, 5, 3, 2, 19)
    assert found.audio == b"abcdef" and list(events.parse(found.events)) == [events.Event(99, 4, b"")]


def test_events_are_read():
    found = list(
        events.parse(maker.mark(7, 2) + maker.lost(5, 6, 2) + maker.clock(0, -5, 9, 2) + maker.meta() + maker.muted(3))
    )
    assert events.mark(found[0]) == (2, 7) and events.lost(found[1]) == (5, 6, 2)
    assert events.clock(found[2]) == events.Clock(maker.BOOT_US, -5, 9, 2)
    meta = events.meta(found[3])
    assert (meta.rate, meta.version, meta.microphone, meta.recorder, meta.began) == (
        16_000,
        "1.0.0",
        "ICS-43434",
        "red",
        "switch",
    )
    assert events.sample(found[4]) == 3


@pytest.mark.parametrize(
    "data",
    [
        b"\1",
        b"\1\7" + bytes(7),
        b"\1\x11" + bytes(16),
        maker.event(2, 0, bytes(12)),
        maker.event(10, 0),
        maker.event(10, 0, b"\1\1"),
        maker.event(3, 0, bytes(52)),
        maker.event(3, 0, bytes(48) + struct.pack("<I", 16_000) + b"\5abc"),
        maker.event(3, 0, bytes(48) + struct.pack("<I", 0) + b"\0\0\0"),
    ],
)
def test_events_that_do_not_fit_are_refused(data):
    with pytest.raises(FormatError):
        list(events.parse(data))


def test_a_page_key_is_bound_to_the_header(recording):
    other = Recording(Device(seq=0), [Owner(1)], seed=2)
    key = bytes(32)
    first, second = (page.parse_header(r.file[0]) for r in (recording, other))
    assert Ratchet(key, first).page_key(1) != Ratchet(key, second).page_key(1)


def test_another_suite_is_told_by_its_number():
    data = bytearray(maker.normal(1)[0].file[0])
    data[5] = 2
    with pytest.raises(FormatError, match="suite 2"):
        page.parse_header(bytes(data))
