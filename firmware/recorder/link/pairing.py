"""PAIR: what the host gives, what the recorder signs (LINK.md, "PAIR"). Over the cable, with a hand on the button."""

from binascii import b2a_base64, hexlify

from micropython import const

from recorder.errors import LinkError
from recorder.seal import ed25519, mac, note
from recorder.seal.wipe import wipe

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

_MALFORMED = const(2)
_PAIRED = const(6)
_ENTROPY_MIN = const(32)
_ENTROPY_MAX = const(64)
_KEY_BYTES = const(32)
_RECIPIENTS = const(3)
_NAME_BYTES = const(32)


class Request:
    """What the host asks to be paired with: .entropy .recipients .link_secret .receipt_key (bytes) .name (str).
    `entropy` was handed to add_entropy before and is wiped by the time that `do.pair` sees the rest."""

    def __init__(self, payload: memoryview) -> None:
        at = 0

        def take(count: int) -> bytes:
            nonlocal at
            if at + count > len(payload):
                raise LinkError(_MALFORMED, "PAIR malformed")
            at += count
            return bytes(payload[at - count : at])

        count = take(1)[0]
        if not _ENTROPY_MIN <= count <= _ENTROPY_MAX:
            raise LinkError(_MALFORMED, "PAIR malformed")
        self.entropy = take(count)
        self.recipients = recipients(memoryview(take(take(1)[0] * _KEY_BYTES)))
        self.link_secret = take(_KEY_BYTES)
        self.receipt_key = take(_KEY_BYTES)
        count = take(1)[0]
        if count > _NAME_BYTES:
            raise LinkError(_MALFORMED, "PAIR malformed")
        try:
            self.name = take(count).decode()
        except UnicodeError:
            raise LinkError(_MALFORMED, "PAIR malformed") from None
        if at != len(payload):
            raise LinkError(_MALFORMED, "PAIR malformed")


def recipients(data: memoryview) -> "list[bytes]":
    """One to three keys, none of them zero. Raises LinkError."""
    keys = [bytes(data[at : at + _KEY_BYTES]) for at in range(0, len(data), _KEY_BYTES)]
    if not 1 <= len(keys) <= _RECIPIENTS or len(keys[-1]) != _KEY_BYTES or bytes(_KEY_BYTES) in keys:
        raise LinkError(_MALFORMED, "recipients malformed")
    return keys


def _base64(data: "bytes | bytearray") -> str:
    return b2a_base64(bytes(data)).decode().rstrip()


def _body(do: "Any", identity: "Any") -> bytes:
    """The pairing note's text: what was stored, and a commitment to the link secret that does not show it."""
    secret = bytearray(_KEY_BYTES)
    mac.hmac_into(secret, identity.link_secret, b"earwitness/v1/link/pairing", identity.public)
    lines = [
        "earwitness/v1/pairing/" + note.key_name(identity.public)[11:],
        "epoch %d" % identity.epoch,
        "boot " + hexlify(do.boot_id).decode(),
        "link " + _base64(secret),
        "receipts " + _base64(identity.receipt_key),
        "name " + _base64(identity.name.encode()),
    ]
    for recipient in identity.recipients:
        lines.append("recipient " + _base64(recipient))
    lines.append("")
    return "\n".join(lines).encode()


def note_of(do: "Any") -> bytes:
    """The pairing note as this recorder stands now, signed."""
    identity = do.identity
    text = _body(do, identity)
    signing = ed25519.Signing(identity.seed, identity.public, text)
    while not signing.step():
        do.between()
    return note.signed(text, identity.public, signing.signature)


def pair(do: "Any", payload: memoryview, out: bytearray, at: int) -> int:
    """Pair, and write `public key 32 | signed note` to out[at:]; returns its length. Raises LinkError to refuse.

    A repetition of the very request that this recorder was paired with is answered again: otherwise a lost answer
    would leave a recorder that nobody can talk to.
    """
    request = Request(payload)
    identity = do.identity
    if identity is None:
        do.add_entropy(request.entropy)  # first of all: the keys are made from it
        wipe(request.entropy)
        identity = do.pair(request)
    elif not (
        mac.equal(identity.link_secret, request.link_secret)
        and bytes(identity.receipt_key) == request.receipt_key
        and [bytes(recipient) for recipient in identity.recipients] == request.recipients
        and identity.name == request.name
    ):
        raise LinkError(_PAIRED, "already paired")
    answer = bytes(identity.public) + note_of(do)
    out[at : at + len(answer)] = answer
    return len(answer)
