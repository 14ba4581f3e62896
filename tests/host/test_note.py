"""Signed notes: one way to write each, and only the device's own count."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from earwitness import note
from earwitness.errors import EarwitnessError, IntegrityError
from host import maker
from host.maker import Device

DEVICE = Device()
RECORDING, _ = maker.normal(device=DEVICE)
GOOD = RECORDING.final


def resigned(old: str, new: str) -> bytes:
    """The final note with its text changed and signed again by the device."""
    text = GOOD.split(b"\n\n")[0].decode() + "\n"
    assert old in text
    return DEVICE.sign(text.replace(old, new, 1).encode())


def test_a_note_is_read():
    found = note.parse(GOOD, DEVICE.public)
    assert (found.n, found.seq, found.state, found.seen) == (8, 1, "end", None)
    assert found.root == maker.root(RECORDING.hashes) and found.hash == maker.sha(GOOD) and found.final


def test_notes_written_here_are_those_of_the_specification():
    found = note.parse(GOOD, DEVICE.public)
    text = note.body(DEVICE.public, RECORDING.id, 8, found.root, seq=1, state="end", prev=bytes(32))
    assert note.signed(text, DEVICE.public, DEVICE.key.sign(text)) == GOOD


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n8\n", "\n08\n"),
        ("\n8\n", "\n8 \n"),
        ("\n8\n", "\n-8\n"),
        ("\n8\n", "\n٨\n"),
        ("\n8\n", "\n99999999999\n"),
        ("seq 1", "seq 0"),
        ("seq 1", "seq 01"),
        ("state end", "state done"),
        ("state end", "state recovered"),  # without seen
        ("prev AAA", "prev AA"),
        ("AAA=\n", "AAB=\n"),  # stray bits behind the last byte
        ("AAA=\n", "AAA=\nseen 8\n"),  # end has no seen
        ("AAA=\n", "AAA=\nmore 1\n"),
        ("seq 1\nstate end\n", "state end\nseq 1\n"),
        ("checkpoint/", "status/"),
        (RECORDING.id.hex(), RECORDING.id.hex().upper()),
        ("\n8\n", "\r\n8\r\n"),
    ],
)
def test_a_note_that_is_signed_and_yet_not_of_the_format_is_refused(old, new):
    with pytest.raises(EarwitnessError):
        note.parse(resigned(old, new), DEVICE.public)


def test_seen_belongs_to_recovered_damaged_and_lost():
    for state in ("recovered", "damaged", "lost"):
        assert note.parse(RECORDING.note(state, 8, 9), DEVICE.public).seen == 9


SIGNATURE = GOOD.rsplit(b"\n\n", 1)[1]
BLOB = base64.b64decode(SIGNATURE.split()[2])


@pytest.mark.parametrize(
    "line",
    [
        b"",
        SIGNATURE[:-1],
        SIGNATURE * 2,
        SIGNATURE + b"\n",
        SIGNATURE.replace("—".encode(), b"-"),
        SIGNATURE.replace(b" earwitness/", b" earwitnesses/"),
        SIGNATURE.replace(base64.b64encode(BLOB), base64.b64encode(BLOB[:-1])),
        SIGNATURE.replace(base64.b64encode(BLOB), base64.b64encode(b"\0" + BLOB[1:])),
        SIGNATURE.replace(base64.b64encode(BLOB), base64.b64encode(BLOB[:-1] + bytes([BLOB[-1] ^ 1]))),
        SIGNATURE.replace(base64.b64encode(BLOB), base64.b64encode(BLOB)[:-2] + b"\xff="),
    ],
)
def test_a_signature_line_that_is_not_right_is_refused(line):
    with pytest.raises(EarwitnessError):
        note.parse(GOOD.rsplit(b"\n\n", 1)[0] + b"\n\n" + line, DEVICE.public)


def test_base64_with_stray_bits_in_the_signature_is_refused():
    encoded = base64.b64encode(BLOB)
    assert encoded.endswith(b"=")
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    stray = encoded[:-2] + bytes([alphabet[alphabet.index(encoded[-2]) + 1]]) + b"="
    assert base64.b64decode(stray) == BLOB
    with pytest.raises(EarwitnessError):
        note.parse(GOOD.replace(encoded, stray), DEVICE.public)


def test_another_device_is_refused():
    with pytest.raises(IntegrityError):
        note.parse(GOOD, Device(2).public)


@pytest.mark.parametrize("sign", [0, 0x80])
@pytest.mark.parametrize("y", [0, 1, 2**255 - 20, 2**255 - 19, 2**255 - 18])
def test_keys_of_small_order_are_refused(y, sign):
    key = bytearray(y.to_bytes(32, "little"))
    key[31] |= sign
    with pytest.raises(IntegrityError):
        note.refuse_weak_key(bytes(key))


ORDER_8 = (
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
)


@pytest.mark.parametrize("key", ORDER_8)
def test_keys_of_order_8_are_refused(key):
    with pytest.raises(IntegrityError):
        note.refuse_weak_key(bytes.fromhex(key))
    note.refuse_weak_key(DEVICE.public)


def test_a_signature_that_fits_every_text_is_none():
    key, signature = b"\1" + bytes(31), b"\1" + bytes(63)
    for text in (b"one", b"another"):
        Ed25519PublicKey.from_public_bytes(key).verify(signature, text)
        with pytest.raises(IntegrityError, match="anybody can sign"):
            note.check_signature(key, signature, text)
