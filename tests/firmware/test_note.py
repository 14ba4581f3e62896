"""Signed notes: the text, byte for byte, and the key id and signature line as C2SP signed-note has them."""

from __future__ import annotations

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SEED = bytes(range(32))
KEY = Ed25519PrivateKey.from_private_bytes(SEED)
PUBLIC = KEY.public_key().public_bytes_raw()
ID = bytes(range(16, 32))
ROOT = hashlib.sha256(b"root").digest()
PREV = hashlib.sha256(b"prev").digest()
NAME = "earwitness/" + hashlib.sha256(PUBLIC).hexdigest()[:16]

ARGS = {"public": PUBLIC.hex(), "id": ID.hex(), "root": ROOT.hex(), "prev": PREV.hex()}
PRELUDE = """
from recorder.seal import note
public, recording_id, root, prev = (bytes.fromhex(ARGS[name]) for name in ("public", "id", "root", "prev"))
"""


@pytest.mark.parametrize(("state", "seen"), [("running", None), ("end", None), ("recovered", 12), ("lost", 0)])
def test_text(mpy, state: str, seen: int | None) -> None:
    source = (
        PRELUDE + "emit(note.body(public, recording_id, 1234567, root, 42, ARGS['state'], prev, ARGS['seen']).decode())"
    )
    expected = (
        f"earwitness/v1/checkpoint/{NAME[11:]}/{ID.hex()}\n1234567\n{base64.b64encode(ROOT).decode()}\n"
        f"seq 42\nstate {state}\nprev {base64.b64encode(PREV).decode()}\n"
    )
    if seen is not None:
        expected += f"seen {seen}\n"
    assert mpy(source, args={**ARGS, "state": state, "seen": seen}) == [expected]


def test_key_name_and_key_id(mpy) -> None:
    source = PRELUDE + "emit([note.key_name(public), note.key_id(public).hex()])"
    key_id = hashlib.sha256(NAME.encode() + b"\n\x01" + PUBLIC).digest()[:4]
    assert mpy(source, args=ARGS) == [[NAME, key_id.hex()]]


def test_key_id_is_the_one_that_sumdb_has(mpy) -> None:
    """The Go checksum database's verifier key, `sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8`."""
    public = base64.b64decode("Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8")[1:]
    source = """
        from recorder.seal import note
        note.key_name = lambda public: "sum.golang.org"
        emit(note.key_id(bytes.fromhex(ARGS["public"])).hex())
    """
    assert mpy(source, args={"public": public.hex()}) == ["033de0ae"]


def test_whole_note_verifies(mpy) -> None:
    source = (
        PRELUDE
        + """
text = note.body(public, recording_id, 1, root, 1, "running", prev)
emit(text.decode())
emit(note.signed(text, public, bytes.fromhex(ARGS["signature"])).decode())
"""
    )
    text = (
        f"earwitness/v1/checkpoint/{NAME[11:]}/{ID.hex()}\n1\n{base64.b64encode(ROOT).decode()}\n"
        f"seq 1\nstate running\nprev {base64.b64encode(PREV).decode()}\n"
    )
    signature = KEY.sign(text.encode())
    body, whole = mpy(source, args={**ARGS, "signature": signature.hex()})
    assert body == text
    signed_text, _, line = whole.rpartition("\n\n")
    assert signed_text + "\n" == text
    dash, name, blob = line.split(" ")
    assert (dash, name) == ("\u2014", NAME)
    assert blob.endswith("\n")
    raw = base64.b64decode(blob[:-1], validate=True)
    assert raw[:4] == hashlib.sha256(NAME.encode() + b"\n\x01" + PUBLIC).digest()[:4]
    KEY.public_key().verify(raw[4:], text.encode())
