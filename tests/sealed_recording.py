"""Makes whole recordings out of FORMAT.md's own words, with the computer's primitives, for tests of sync and import."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
import struct

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from earwitness import checkpoint, keys, merkle, note, page

SAMPLES = 1500


def public_key(seed: bytes) -> bytes:
    """Ed25519 public key of a seed."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def envelope(payload: bytes, recipient: bytes, chance: random.Random) -> bytes:
    """An age v1 file with exactly one X25519 stanza (pyrage adds one that means nothing): C2SP age.md."""

    def derive(key: bytes, salt: bytes, info: bytes) -> bytes:
        return HKDF(SHA256(), 32, salt, info).derive(key)

    def text(data: bytes) -> bytes:
        return base64.b64encode(data).rstrip(b"=")

    file_key, nonce = chance.randbytes(16), chance.randbytes(16)
    ephemeral = X25519PrivateKey.from_private_bytes(chance.randbytes(32))
    share = ephemeral.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(recipient))
    wrap = derive(shared, share + recipient, b"age-encryption.org/v1/X25519")
    body = ChaCha20Poly1305(wrap).encrypt(bytes(12), file_key, None)
    head = b"age-encryption.org/v1\n-> X25519 " + text(share) + b"\n" + text(body) + b"\n---"
    mac = hmac.digest(derive(file_key, b"", b"header"), head, "sha256")
    sealed = ChaCha20Poly1305(derive(file_key, nonce, b"payload")).encrypt(bytes(11) + b"\x01", payload, None)
    return head + b" " + text(mac) + b"\n" + nonce + sealed


def make(seed: bytes, recipient: bytes, seq: int = 1, leaves: int = 100, *, state: str = "end") -> bytes:
    """A recording of `leaves` leaves (header included); state "running" leaves it without a final note."""
    chance = random.Random(seq * 1000 + leaves)
    recording_id, public = chance.randbytes(16), public_key(seed)
    prev = bytes(32) if seq == 1 else hashlib.sha256(b"the note before").digest()
    secret, key = chance.randbytes(32), chance.randbytes(32)
    wrapped = envelope(key, recipient, chance)
    head = b"EWR1\x01\x01\0\0" + struct.pack("<I16sQ", 4096, recording_id, seq) + prev + public
    head += struct.pack("<H", len(wrapped)) + wrapped
    tag_key = hmac.digest(secret, b"earwitness/v1/tag" + recording_id, "sha256")

    def close(inside: bytes, mac: bytes | None) -> bytes:
        inside = inside.ljust(4048, b"\0")
        d = hashlib.sha256(inside).digest()
        tag = bytes(32) if mac is None else hmac.digest(mac, d, "sha256")
        return inside + tag + hmac.digest(tag_key, d + tag, "sha256")[:16]

    zero = close(head, None)
    tree = merkle.Tree()
    pending: list[bytes] = []
    covered = 0
    out = bytearray(zero)

    def add(sealed: bytes) -> None:
        leaf = page.leaf_hash(sealed, page.digest(sealed))
        tree.append(leaf)
        pending.append(leaf)

    def sign(how: str, header_page: bytes | None = None) -> None:
        nonlocal covered
        text = note.body(public, recording_id, tree.size, tree.root(), seq=seq, state=how, prev=prev)
        signed = note.signed(text, public, Ed25519PrivateKey.from_private_bytes(seed).sign(text))
        before = merkle.Tree(covered, start_range)
        out.extend(
            checkpoint.page(
                recording_id,
                tree.size,
                covered,
                signed_note=signed,
                leaves=pending,
                range_=before.range(),
                header_page=header_page,
            )
        )
        covered = tree.size
        pending.clear()

    start_range: list[bytes] = []
    add(zero)
    sign("running", zero)
    start_range = tree.range()
    ratchet = keys.Ratchet(key, page.parse_header(zero))
    for index in range(1, leaves):
        enc, mac = keys.page_keys(ratchet.page_key(index))
        mono = 1_000_000 + (index - 1) * SAMPLES * 1_000_000 // 16000
        events = b""
        if index == 1:
            meta = bytes(32) + bytes(16) + struct.pack("<I", 16000) + b"\x011\x01m\x01n"
            events += bytes((3, 8 + len(meta))) + struct.pack("<Q", mono) + meta
        if index == leaves - 1 and state == "end":
            events += bytes((10, 9)) + struct.pack("<Q", mono) + b"\x01"
        audio = chance.randbytes(SAMPLES * 2)
        plain = struct.pack("<QQHHHBBII", (index - 1) * SAMPLES, mono, SAMPLES, len(events), len(audio), 0, 0, 0, 0)
        plain = (plain + events + audio).ljust(4016, b"\0")
        inside = b"EWR1\x02\x01\0\0" + struct.pack("<I16sI", index, recording_id, 0) + keys.open_body(enc, plain)
        sealed = close(inside, mac)
        out += sealed
        add(sealed)
        if len(pending) == 64 and index != leaves - 1:
            sign("running")
            start_range = tree.range()
    if state != "running" or pending:
        sign(state)
    return bytes(out)
