"""The computer's parsers against anything: they give back what was sent or raise an error that a person can be told."""

from __future__ import annotations

import base64
import contextlib
import struct

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

import sealed_recording
from earwitness import note as signed_note
from earwitness.devices import DeviceRecord, advance
from earwitness.errors import EarwitnessError, FormatError, IntegrityError
from earwitness.link import frames, messages

SEED = bytes(range(7, 39))
PUBLIC = sealed_recording.public_key(SEED)
NONCE = bytes(range(32))
_QUICK = settings(max_examples=200, database=None, derandomize=True)


def signed(text: str) -> bytes:
    signature = Ed25519PrivateKey.from_private_bytes(SEED).sign(text.encode())
    return signed_note.signed(text.encode(), PUBLIC, signature)


def status_text(**changed: str) -> str:
    lines = {
        "first": f"earwitness/v1/status/{messages.short_key(PUBLIC)}",
        "nonce": "nonce " + base64.b64encode(NONCE).decode(),
        "epoch": "epoch 3",
        "boot": "boot " + "0f" * 16,
        "mono": "mono 123456789",
        "newest": "newest 7",
        "hash": "hash " + base64.b64encode(bytes(32)).decode(),
        "open": "open 8",
        **changed,
    }
    return "".join(line + "\n" for line in lines.values())


def status_payload(text: str, told: bytes = b"state idle\nbattery_mv 3900\n") -> bytes:
    note = signed(text)
    return struct.pack("<H", len(note)) + note + told


@_QUICK
@given(st.binary(max_size=1200))
def test_cobs_gives_back_what_it_was_given(data: bytes) -> None:
    stuffed = frames.cobs_encode(data)
    assert 0 not in stuffed and len(stuffed) <= len(data) + len(data) // 254 + 1
    assert frames.cobs_decode(stuffed) == data


@_QUICK
@given(
    st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255), st.binary(max_size=300)), max_size=6),
    st.binary(max_size=50),
    st.integers(1, 40),
)
def test_frames_come_out_whole_however_the_bytes_arrive(
    sent: list[tuple[int, int, bytes]], noise: bytes, step: int
) -> None:
    stream = noise + b"".join(frames.encode(*frame) for frame in sent)
    receiver = frames.Receiver()
    found = [frame for at in range(0, len(stream), step) for frame in receiver.feed(stream[at : at + step])]
    assert [(frame.kind, frame.request, frame.payload) for frame in found] == sent


def test_the_receiver_holds_one_frame_at_most() -> None:
    receiver = frames.Receiver()
    for _ in range(300):
        assert list(receiver.feed(b"\x01" * 4096)) == []
        assert len(receiver._held) <= 4200
    assert [frame.kind for frame in receiver.feed(frames.encode(5, 1, bytes(4100)))] == [5]


def test_a_status_is_read() -> None:
    status = messages.parse_status(status_payload(status_text()), PUBLIC, NONCE)
    assert (status.epoch, status.newest, status.open_seq, status.mono_us) == (3, 7, 8, 123456789)
    assert status.told == {"state": "idle", "battery_mv": "3900"}


@pytest.mark.parametrize(
    "changed",
    [
        {"first": f"earwitness/v1/pairing/{messages.short_key(PUBLIC)}"},
        {"first": "earwitness/v1/status/0000000000000000"},
        {"nonce": "nonce " + base64.b64encode(bytes(32)).decode()},
        {"nonce": "nonce x"},
        {"epoch": "epoch 03"},
        {"epoch": "epoch -1"},
        {"epoch": "epoch ٣"},
        {"boot": "boot 00"},
        {"boot": "boot " + "0F" * 16},
        {"boot": "boot " + "0g" * 16},
        {"mono": "mono"},
        {"newest": "newest 18446744073709551616"},
        {"newest": "newest " + "9" * 5000},
        {"hash": "hash " + base64.b64encode(bytes(31)).decode()},
        {"hash": "hash " + "A" * 42 + "B="},
        {"open": "newest 8"},
        {"open": "open 8\nopen 8"},
    ],
    ids=str,
)
def test_a_signed_status_that_is_not_of_the_one_form_is_refused(changed: dict[str, str]) -> None:
    with pytest.raises((FormatError, IntegrityError)):
        messages.parse_status(status_payload(status_text(**changed)), PUBLIC, NONCE)


def test_every_flipped_bit_of_the_note_is_found() -> None:
    payload = status_payload(status_text(), b"")
    for at in range(len(payload)):
        for bit in (0, 5):
            changed = bytearray(payload)
            changed[at] ^= 1 << bit
            with pytest.raises(EarwitnessError):
                messages.parse_status(bytes(changed), PUBLIC, NONCE)


@_QUICK
@given(st.binary(max_size=600), st.booleans())
def test_no_answer_breaks_the_parsers(data: bytes, dressed: bool) -> None:
    if dressed:
        data = struct.pack("<H", len(data)) + data
    for parse in (
        lambda: messages.parse_status(data, PUBLIC, NONCE),
        lambda: messages.parse_list(data, 0),
        lambda: messages.parse_pairing(data, bytes(32), bytes(32), "n", [bytes(32)]),
    ):
        with contextlib.suppress(EarwitnessError):
            parse()


def entry(seq: int, marks: int = 0, said: int | None = None, pages: int = 5) -> bytes:
    count = marks if said is None else said
    return struct.pack("<Q16sIBH", seq, bytes(16), pages, 1, count) + bytes(4 * marks)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x00",
        b"\x02\x00",
        b"\x01\x00",  # more, and nothing here: would be asked for ever
        b"\x00\x01",
        b"\x00\x01" + entry(0),
        b"\x00\x02" + entry(2) + entry(2),
        b"\x00\x02" + entry(2) + entry(1),
        b"\x00\x01" + entry(1) + b"x",
        b"\x00\x01" + entry(1, 1, said=2),
        b"\x00\x01" + entry(1, 2, said=1),
        b"\x00\x01" + entry(1, 0, said=65535),
        b"\x00\x01" + entry(1, pages=0xFFFFFFFF),  # 16 TiB: no card holds such a file
    ],
)
def test_lists_that_lie_are_refused(payload: bytes) -> None:
    with pytest.raises(FormatError):
        messages.parse_list(payload, 0)


@pytest.mark.parametrize(
    ("known", "said", "fine"),
    [
        ((0, ""), (0, "00"), True),
        ((0, ""), (5, "ab"), True),
        ((5, "ab"), (5, "ab"), True),
        ((5, "ab"), (6, "cd"), True),
        ((5, "ab"), (5, "cd"), False),
        ((5, "ab"), (4, "ab"), False),
        ((5, "ab"), (0, "00"), False),
    ],
)
def test_history_only_grows(known: tuple[int, str], said: tuple[int, str], fine: bool) -> None:
    record = DeviceRecord(PUBLIC.hex(), "", "", "n", (), 3, "", "", known[0], known[1] * 32)
    text = status_text(
        newest=f"newest {said[0]}", hash="hash " + base64.b64encode(bytes.fromhex(said[1]) * 32).decode()
    )
    status = messages.parse_status(status_payload(text), PUBLIC, NONCE)
    if fine:
        assert advance(record, status).newest == said[0]
    else:
        with pytest.raises(IntegrityError, match="ollback"):
            advance(record, status)
