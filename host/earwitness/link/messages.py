"""What the commands carry, decoded (LINK.md, "Commands"). Every length is checked before it is believed."""

from __future__ import annotations

import base64
import hmac
import struct
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from earwitness import note as signed_note
from earwitness.errors import FormatError, IntegrityError

# frame types
HELLO, CHALLENGE, PROVE, PAIR, PROMPT, SEALED, PAGE, REFUSED, ANSWER = 1, 2, 3, 4, 5, 0x10, 0x11, 0x7F, 0x80
# commands inside sealed frames
STATUS, LIST, READ, CLOCK, ENTROPY, IDENTIFY, STOP, RECEIPT, FREE, BEACON, SETTINGS, FAULTS = range(0x01, 0x0D)
SELFTEST, FORMAT, MAINTENANCE, UNPAIR, NOTE, RECIPIENTS = range(0x0D, 0x13)
SEALED_PAGE, MISSING = 0x40, 0x41
# refusals
UNKNOWN, MALFORMED, BUSY, DENIED, BUTTON, PAIRED, NOT_FOUND, CARD, FAULT, NO_RECEIPT, UNSYNCED = range(1, 12)

MAGIC: Final = b"EWLK"
VERSION: Final = 1
WINDOW_PAGES: Final = 64
PAGE_BYTES: Final = 4096
MOST_PAGES: Final = 1 << 20  # of a file on FAT32: more is no recording, and would fill this computer's disk
FINAL, OPEN, FREED, LOST, ELSEWHERE = 1, 2, 3, 4, 5  # state of a recording in LIST
STATES: Final = (FINAL, OPEN, FREED, LOST, ELSEWHERE)
MOST_MARKS: Final = 64  # of a recording in LIST, the first
_RECEIPT_HELD: Final = 0x80
LIGHT, NAME, OWNERS = 1, 2, 3  # settings
LIGHT_LEAST: Final = 8
OK, CARE, BAD = "ok", "care", "bad"  # verdicts of a self-test
_ENTRY: Final = struct.Struct("<Q16sIBH")
_HASH_BYTES: Final = 32


@dataclass(frozen=True)
class Recording:
    """One line of LIST: a recording on the recorder's card."""

    seq: int
    recording_id: bytes
    pages: int  # of the file, up to and with its final checkpoint
    state: int  # FINAL, OPEN, FREED, LOST (gone from its card) or ELSEWHERE (not on the card that is in)
    marks: tuple[int, ...] = ()  # file pages that hold a mark, the first 64
    device: bytes = b""  # whose key the file says it is by; empty where only that recorder is asked
    receipt: bool = False  # the recorder holds a receipt for it


@dataclass(frozen=True)
class Settings:
    """What can be set on a recorder."""

    light: int  # brightness when it is on, 8 to 255
    name: str
    recipients: tuple[bytes, ...]  # X25519 public keys, 32 bytes each


@dataclass(frozen=True)
class Fault:
    """A line of the recorder's own list of what went wrong; `seq` 0: of no one recording."""

    seq: int
    text: str


@dataclass(frozen=True)
class Part:
    """What a self-test found of one part of the recorder."""

    name: str
    verdict: str  # OK, CARE or BAD
    figures: str


@dataclass(frozen=True)
class Status:
    """What the recorder signed over our nonce, and, after it, what it only told."""

    nonce: bytes
    epoch: int
    boot_id: bytes
    mono_us: int
    newest: int  # newest recording with a final note, 0 for none
    newest_hash: bytes
    open_seq: int  # 0 for none
    note: bytes = field(repr=False)
    told: dict[str, str] = field(default_factory=dict)  # state, battery_mv, minutes_left, card_free_pages ...


def short_key(public: bytes) -> str:
    """The recorder's short name in its notes: 16 hex digits."""
    return signed_note.key_name(public).removeprefix("earwitness/")


def b64(data: bytes) -> str:
    """Canonical base64."""
    return base64.b64encode(data).decode("ascii")


def open_note(note: bytes, public: bytes) -> list[str]:
    """The lines of a note with exactly one signature, the recorder's. Raises IntegrityError."""
    try:
        return signed_note.split(note, public).decode("utf-8").splitlines()
    except (FormatError, UnicodeDecodeError) as error:
        raise IntegrityError("The recorder's answer is not a note signed by it.") from error
    except IntegrityError as error:
        raise IntegrityError(
            "The recorder's answer is not signed by the key that was pinned at pairing.",
            "Do not use it. If it looks like yours, somebody may have exchanged it.",
        ) from error


def _value(lines: list[str], index: int, name: str) -> str:
    if index >= len(lines) or not lines[index].startswith(name + " "):
        raise FormatError(f"The recorder's note has no line '{name}' where it belongs.")
    return lines[index][len(name) + 1 :]


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or str(int(text)) != text or int(text) >= 1 << 64:
        raise FormatError("A number in the recorder's note is not written as it must be.")
    return int(text)


def _bytes(text: str, count: int) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        data = b""
    if len(data) != count or b64(data) != text:
        raise FormatError("A value in the recorder's note is not canonical base64 of the right length.")
    return data


def parse_status(payload: bytes, public: bytes, nonce: bytes) -> Status:
    """Check and read the answer to STATUS: `u16 note length | note | told fields`."""
    length = int.from_bytes(payload[:2], "little")
    if len(payload) < 2 or 2 + length > len(payload):
        raise FormatError("The recorder's status is cut short.")
    note = payload[2 : 2 + length]
    lines = open_note(note, public)
    if len(lines) != 8 or lines[0] != f"earwitness/v1/status/{short_key(public)}":
        raise FormatError("The recorder signed something that is no status.")
    boot = _value(lines, 3, "boot")
    try:
        boot_id = bytes.fromhex(boot)
    except ValueError:
        boot_id = b""
    if len(boot_id) != 16 or boot_id.hex() != boot:
        raise FormatError("The boot id in the recorder's status is not 32 hex digits.")
    if not hmac.compare_digest(_bytes(_value(lines, 1, "nonce"), 32), nonce):
        raise IntegrityError("The recorder's status answers another question: an old one was replayed.")
    told = {}
    for line in payload[2 + length :].decode("utf-8", "replace").splitlines():
        name, _, value = line.partition(" ")
        told[name] = value
    return Status(
        nonce=nonce,
        epoch=_number(_value(lines, 2, "epoch")),
        boot_id=boot_id,
        mono_us=_number(_value(lines, 4, "mono")),
        newest=_number(_value(lines, 5, "newest")),
        newest_hash=_bytes(_value(lines, 6, "hash"), _HASH_BYTES),
        open_seq=_number(_value(lines, 7, "open")),
        note=note,
        told=told,
    )


def parse_list(payload: bytes, after: int) -> tuple[list[Recording], bool]:
    """Read one answer to LIST; the bool says that there are more. Sequence numbers must rise from `after`."""
    bad = FormatError("The recorder's list does not hold together.")
    if len(payload) < 2 or payload[0] > 1:
        raise bad
    at = 2
    entries: list[Recording] = []
    for _ in range(payload[1]):
        if at + _ENTRY.size > len(payload):
            raise bad
        seq, recording_id, pages, state, count = _ENTRY.unpack_from(payload, at)
        at += _ENTRY.size
        if seq <= after or pages > MOST_PAGES or count > MOST_MARKS or at + 4 * count > len(payload):
            raise bad
        marks = struct.unpack_from(f"<{count}I", payload, at)
        at += 4 * count
        after = seq
        held = bool(state & _RECEIPT_HELD)
        entries.append(Recording(seq, recording_id, pages, state & ~_RECEIPT_HELD, marks, receipt=held))
    if at != len(payload) or (payload[0] and not entries):
        raise bad
    return entries, bool(payload[0])


def _text(data: bytes) -> str:
    """What a recorder says for people: never more than printable letters."""
    return "".join(letter if letter.isprintable() else "?" for letter in data.decode("utf-8", "replace"))


def parse_settings(payload: bytes) -> Settings:
    """Read the answer to SETTINGS; kinds that this program does not know are left out."""
    bad = FormatError("The recorder's settings do not hold together.")
    found: dict[int, bytes] = {}
    at = 0
    while at < len(payload):
        if at + 2 > len(payload) or at + 2 + payload[at + 1] > len(payload) or payload[at] in found:
            raise bad
        found[payload[at]] = payload[at + 2 : at + 2 + payload[at + 1]]
        at += 2 + payload[at + 1]
    keys = found.get(OWNERS, b"")
    if len(found.get(LIGHT, b"")) != 1 or NAME not in found or len(keys) not in (32, 64, 96):
        raise bad
    return Settings(found[LIGHT][0], _text(found[NAME]), tuple(keys[at : at + 32] for at in range(0, len(keys), 32)))


def parse_faults(payload: bytes) -> list[Fault]:
    """Read the answer to FAULTS, oldest first."""
    bad = FormatError("The recorder's list of faults does not hold together.")
    faults = []
    at = 1
    for _ in range(payload[0] if payload else 0):
        if at + 5 > len(payload) or at + 5 + payload[at + 4] > len(payload):
            raise bad
        seq, length = struct.unpack_from("<IB", payload, at)
        faults.append(Fault(seq, _text(payload[at + 5 : at + 5 + length])))
        at += 5 + length
    if at != len(payload):
        raise bad
    return faults


def parse_selftest(payload: bytes) -> list[Part]:
    """Read the answer to SELFTEST. A verdict that this program does not know counts as `care`."""
    parts = []
    for line in payload.split(b"\n"):
        name, _, rest = _text(line).partition(" ")
        verdict, _, figures = rest.partition(" ")
        if name:
            parts.append(Part(name, verdict if verdict in (OK, CARE, BAD) else CARE, figures))
    return parts


def receipt_text(public: bytes, seq: int, recording_id: bytes, note_hash: bytes) -> bytes:
    """What a computer signs when it holds a recording: verified, opened and durable."""
    lines = (f"earwitness/v1/receipt/{short_key(public)}", f"seq {seq}", f"id {recording_id.hex()}")
    return "".join(f"{line}\n" for line in (*lines, f"hash {b64(note_hash)}")).encode()


def pairing_lines(
    public: bytes, epoch: int, boot: str, *, link_secret: bytes, receipt_key: bytes, name: str, recipients: list[bytes]
) -> list[str]:
    """The pairing note that a recorder must have signed for this request."""
    commitment = hmac.digest(link_secret, b"earwitness/v1/link/pairing" + public, sha256)
    return [
        f"earwitness/v1/pairing/{short_key(public)}",
        f"epoch {epoch}",
        f"boot {boot}",
        f"link {b64(commitment)}",
        f"receipts {b64(receipt_key)}",
        f"name {b64(name.encode())}",
        *(f"recipient {b64(recipient)}" for recipient in recipients),
    ]


def parse_pairing(
    payload: bytes, link_secret: bytes, receipt_key: bytes, name: str, recipients: list[bytes]
) -> tuple[bytes, int, bytes]:
    """Check the answer to PAIR, `public key | pairing note`; returns (public key, epoch, note)."""
    public, note = payload[:32], payload[32:]
    signed_note.refuse_weak_key(public)
    return public, check_pairing(note, public, link_secret, receipt_key, name, recipients), note


def check_pairing(
    note: bytes, public: bytes, link_secret: bytes, receipt_key: bytes, name: str, recipients: list[bytes]
) -> int:
    """Check that a pairing note says exactly this; returns the epoch."""
    lines = open_note(note, public)
    epoch = _number(_value(lines, 1, "epoch"))
    boot = _value(lines, 2, "boot")
    if lines != pairing_lines(
        public,
        epoch,
        boot,
        link_secret=link_secret,
        receipt_key=receipt_key,
        name=name,
        recipients=recipients,
    ):
        raise IntegrityError(
            "The recorder stored something else than it was given.", "Unpair it and pair again, with another cable."
        )
    return epoch
