"""Signed notes: what the device signs, C2SP signed-note text under Ed25519 (FORMAT.md, "Checkpoint page")."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from earwitness.errors import FormatError, IntegrityError

RUNNING, END, RECOVERED, DAMAGED, LOST = "running", "end", "recovered", "damaged", "lost"
STATES = (RUNNING, END, RECOVERED, DAMAGED, LOST)

_MAX_BYTES = 1024
_ED25519 = b"\x01"  # C2SP signed-note: signature type of the key id
_CHECKPOINT = re.compile(
    r"earwitness/v1/checkpoint/(?P<key>[0-9a-f]{16})/(?P<id>[0-9a-f]{32})\n"
    r"(?P<n>0|[1-9][0-9]{0,9})\n"
    r"(?P<root>[A-Za-z0-9+/]{43}=)\n"
    r"seq (?P<seq>[1-9][0-9]{0,19})\n"
    r"state (?P<state>running|end|recovered|damaged|lost)\n"
    r"prev (?P<prev>[A-Za-z0-9+/]{43}=)\n"
    r"(?:seen (?P<seen>0|[1-9][0-9]{0,9})\n)?"
)
_SIGNATURE = re.compile(r"— (?P<name>\S+) (?P<blob>[A-Za-z0-9+/]+={0,2})\n")

# Points of order 1, 2, 4 and 8, sign bit cleared, with their non-canonical encodings: under such a key one signature
# fits many messages.
_P = 2**255 - 19
_ORDER_8 = (
    0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
    0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
)
_SMALL_ORDER = frozenset(y.to_bytes(32, "little") for y in (0, 1, *_ORDER_8, _P - 1, _P, _P + 1))


@dataclass(frozen=True, slots=True)
class Note:
    """A parsed checkpoint note. `text` is all its bytes, signature line included: `H(text)` is what `prev` names."""

    text: bytes
    recording_id: bytes
    n: int
    root: bytes
    seq: int
    state: str
    prev: bytes
    seen: int | None

    @property
    def final(self) -> bool:
        """No page of the recording comes after it."""
        return self.state != RUNNING

    @property
    def hash(self) -> bytes:
        """H over the whole signed note: what the next recording's `prev` holds and what a time token stamps."""
        return sha256(self.text).digest()


def key_name(public: bytes) -> str:
    """Name of a device key in signature lines."""
    return "earwitness/" + sha256(public).hexdigest()[:16]


def key_id(public: bytes) -> bytes:
    """C2SP signed-note key id, 4 bytes."""
    return sha256(key_name(public).encode() + b"\n" + _ED25519 + public).digest()[:4]


def body(
    public: bytes,
    recording_id: bytes,
    n: int,
    root: bytes,
    *,
    seq: int,
    state: str,
    prev: bytes,
    seen: int | None = None,
) -> bytes:
    """The text that the device signs for a checkpoint, through its last newline."""
    name = key_name(public).removeprefix("earwitness/")
    lines = [
        f"earwitness/v1/checkpoint/{name}/{recording_id.hex()}",
        str(n),
        _base64(root),
        f"seq {seq}",
        f"state {state}",
        f"prev {_base64(prev)}",
    ]
    if seen is not None:
        lines.append(f"seen {seen}")
    return "".join(line + "\n" for line in lines).encode()


def signed(text: bytes, public: bytes, signature: bytes) -> bytes:
    """The whole note: text, empty line, signature line."""
    return text + f"\n— {key_name(public)} {_base64(key_id(public) + signature)}\n".encode()


def split(note: bytes, public: bytes) -> bytes:
    """The text of a signed note, once its one signature line verifies under `public`. Any first line; see `parse`."""
    if len(note) > _MAX_BYTES:
        raise FormatError("A signed note is longer than any that a recorder writes.")
    text, gap, line = note.rpartition(b"\n\n")
    try:
        match = _SIGNATURE.fullmatch(line.decode())
        blob = base64.b64decode(match["blob"], validate=True) if match else b""
    except (UnicodeDecodeError, binascii.Error) as error:
        raise FormatError("The signature line of a note is not of the format.") from error
    if not gap or match is None or len(blob) != 68 or _base64(blob) != match["blob"]:
        raise FormatError("The signature line of a note is not of the format.")
    text += b"\n"
    if match["name"] != key_name(public) or blob[:4] != key_id(public):
        raise IntegrityError("A note is signed by another key than that of the recorder in the header.")
    check_signature(public, blob[4:], text)
    return text


def check_signature(public: bytes, signature: bytes, text: bytes) -> None:
    """Raises IntegrityError unless `signature` is the device's over `text`; refuses keys of small order."""
    refuse_weak_key(public)
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, text)
    except (InvalidSignature, ValueError) as error:
        raise IntegrityError("A signature of the recorder does not fit what it is said to sign.") from error


def refuse_weak_key(public: bytes) -> None:
    """Raises IntegrityError for device keys under which anybody can make signatures."""
    if len(public) != 32 or public[:31] + bytes([public[31] & 0x7F]) in _SMALL_ORDER:
        raise IntegrityError("The device key of this recording is one that anybody can sign with.")


def parse(note: bytes, public: bytes) -> Note:
    """A signed checkpoint note. Raises FormatError or IntegrityError; what comes back is signed by `public`."""
    text = split(note, public)
    try:
        match = _CHECKPOINT.fullmatch(text.decode("ascii"))
    except UnicodeDecodeError as error:
        raise FormatError("A checkpoint's note is not of the format.") from error
    if match is None:
        raise FormatError("A checkpoint's note is not of the format.")
    parsed = Note(
        text=bytes(note),
        recording_id=bytes.fromhex(match["id"]),
        n=int(match["n"]),
        root=base64.b64decode(match["root"]),
        seq=int(match["seq"]),
        state=match["state"],
        prev=base64.b64decode(match["prev"]),
        seen=None if match["seen"] is None else int(match["seen"]),
    )
    if (parsed.seen is None) != (parsed.state in (RUNNING, END)):
        raise FormatError("A checkpoint's note has its 'seen' line in the wrong place.")
    again = body(
        public,
        parsed.recording_id,
        parsed.n,
        parsed.root,
        seq=parsed.seq,
        state=parsed.state,
        prev=parsed.prev,
        seen=parsed.seen,
    )
    if again != text:  # also refuses base64 with stray bits, and another key's name in the first line
        raise FormatError("A checkpoint's note is not written the one way that the format allows.")
    return parsed


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
