"""STATUS: a note the device signs over the host's nonce. FORMAT.md, "Across recordings"; LINK.md, "STATUS"."""

from binascii import b2a_base64, hexlify
from struct import pack_into

from micropython import const

from recorder.hal import clock
from recorder.seal import ed25519, note

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

_EXTRA_BYTES = const(640)  # of unsigned fields, so that the answer fits a small frame
_ZERO_HASH = bytes(32)


def base64(data: "bytes | bytearray | memoryview") -> str:
    """Canonical base64 without the newline."""
    return b2a_base64(bytes(data)).decode().strip()


def name_line(kind: str, public: bytes) -> str:
    """First line of a note of this kind: `earwitness/v1/<kind>/<key>`."""
    return "earwitness/v1/" + kind + "/" + note.key_name(public).split("/")[1]


def body(host: "Any", nonce: "bytes | memoryview") -> bytes:
    """The text that is signed, trailing newline included."""
    identity = host.identity
    journal = host.journal
    opened = journal.open.seq if journal.open is not None else 0
    newest = journal.newest_seq
    if opened and newest == opened:
        newest = opened - 1  # newest with a final note: the open one has none yet
    newest_hash = journal.prev_hash() if newest else _ZERO_HASH
    lines = (
        name_line("status", identity.public),
        "nonce " + base64(nonce),
        "epoch %d" % identity.epoch,
        "boot " + hexlify(host.boot_id).decode(),
        "mono %d" % clock.now_us(),
        "newest %d" % newest,
        "hash " + base64(newest_hash),
        "open %d" % opened,
        "",
    )
    return "\n".join(lines).encode()


def extra(host: "Any") -> bytes:
    """Unsigned fields, one `name value` a line, as many as fit."""
    text = "state " + host.state_name() + "\n"
    fields = host.status_fields()
    for name in sorted(fields):
        line = name + " " + str(fields[name]).replace("\n", " ") + "\n"
        if len(text.encode()) + len(line.encode()) <= _EXTRA_BYTES:
            text += line
    return text.encode()


class Status:
    """One STATUS being answered: signing takes about 0.2 s and is sliced, so that recording goes on."""

    def __init__(self, host: "Any", request: int, nonce: "bytes | memoryview") -> None:
        self.request = request
        self._host = host
        self._body = body(host, nonce)
        self._signing = ed25519.Signing(host.identity.seed, host.identity.public, self._body)

    def step(self) -> bool:
        """One slice; True when the signature is made."""
        return self._signing.step()

    def write(self, out: bytearray, at: int) -> int:
        """Write `u16 note length | note | extra` to out[at:]; returns its length."""
        signed = note.signed(self._body, self._host.identity.public, self._signing.signature)
        more = extra(self._host)
        pack_into("<H", out, at, len(signed))
        at += 2
        out[at : at + len(signed)] = signed
        at += len(signed)
        out[at : at + len(more)] = more
        return 2 + len(signed) + len(more)
