"""PAIR: what the host gives, what the recorder signs (LINK.md, "PAIR"). Over the cable, with a hand on the button."""

from binascii import hexlify

from micropython import const

from recorder.errors import LinkError
from recorder.link.service import MALFORMED, PAIRED
from recorder.link.status import base64, name_line
from recorder.seal import ed25519, mac, note
from recorder.seal.wipe import wipe

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

_ENTROPY_MIN = const(32)
_ENTROPY_MAX = const(64)
_KEY_BYTES = const(32)
_RECIPIENTS = const(3)
_NAME_BYTES = const(32)


class Request:
    """What the host asks to be paired with: .entropy .recipients .link_secret .receipt_key (bytes) .name (str).
    `entropy` was handed to add_entropy before and is wiped by the time that `host.pair` sees the rest."""

    def __init__(self, payload: memoryview) -> None:
        at = 0

        def take(count: int) -> bytes:
            nonlocal at
            if at + count > len(payload):
                raise LinkError(MALFORMED, "PAIR malformed")
            at += count
            return bytes(payload[at - count : at])

        count = take(1)[0]
        if not _ENTROPY_MIN <= count <= _ENTROPY_MAX:
            raise LinkError(MALFORMED, "PAIR malformed")
        self.entropy = take(count)
        count = take(1)[0]
        if not 1 <= count <= _RECIPIENTS:
            raise LinkError(MALFORMED, "PAIR malformed")
        self.recipients = [take(_KEY_BYTES) for _ in range(count)]
        self.link_secret = take(_KEY_BYTES)
        self.receipt_key = take(_KEY_BYTES)
        count = take(1)[0]
        if count > _NAME_BYTES:
            raise LinkError(MALFORMED, "PAIR malformed")
        try:
            self.name = take(count).decode()
        except UnicodeError:
            raise LinkError(MALFORMED, "PAIR malformed") from None
        if at != len(payload) or any(recipient == bytes(_KEY_BYTES) for recipient in self.recipients):
            raise LinkError(MALFORMED, "PAIR malformed")


def body(host: "Any", identity: "Any") -> bytes:
    """The pairing note's text: what was stored, and a commitment to the link secret that does not show it."""
    secret = bytearray(_KEY_BYTES)
    mac.hmac_into(secret, identity.link_secret, b"earwitness/v1/link/pairing", identity.public)
    lines = [
        name_line("pairing", identity.public),
        "epoch %d" % identity.epoch,
        "boot " + hexlify(host.boot_id).decode(),
        "link " + base64(secret),
        "receipts " + base64(identity.receipt_key),
        "name " + base64(identity.name.encode()),
    ]
    for recipient in identity.recipients:
        lines.append("recipient " + base64(recipient))
    lines.append("")
    return "\n".join(lines).encode()


def pair(host: "Any", payload: memoryview, out: bytearray) -> int:
    """Pair, and write `public key 32 | signed note` to out[2:]; returns its length. Raises LinkError to refuse.

    A repetition of the very request that this recorder was paired with is answered again: otherwise a lost answer
    would leave a recorder that nobody can talk to.
    """
    request = Request(payload)
    identity = host.identity
    if identity is None:
        host.add_entropy(request.entropy)  # first of all: the keys are made from it
        wipe(request.entropy)
        identity = host.pair(request)
    elif not (
        mac.equal(identity.link_secret, request.link_secret)
        and bytes(identity.receipt_key) == request.receipt_key
        and [bytes(recipient) for recipient in identity.recipients] == request.recipients
        and identity.name == request.name
    ):
        raise LinkError(PAIRED, "already paired")
    text = body(host, identity)
    signed = note.signed(text, identity.public, ed25519.sign(identity.seed, identity.public, text))
    out[2 : 2 + _KEY_BYTES] = identity.public
    end = 2 + _KEY_BYTES + len(signed)
    out[2 + _KEY_BYTES : end] = signed
    return end - 2
