"""STATUS: a note the device signs over the host's nonce. FORMAT.md, "Across recordings"; LINK.md, "STATUS"."""

from binascii import b2a_base64, hexlify
from struct import pack_into

from micropython import const

from recorder.hal import clock
from recorder.seal import note
from recorder.seal.ed25519 import Signing

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

_TOLD_BYTES = const(600)  # of unsigned fields, so that the answer fits a small frame


class Status:
    """One STATUS being answered: signing takes about 0.2 s and is sliced, so that recording goes on."""

    def __init__(self, host: "Any", request: int, nonce: "bytes | memoryview") -> None:
        self.request = request
        self._host = host
        identity = host.identity
        journal = host.journal
        newest = journal.newest_final
        self._public = identity.public
        self._text = (
            "earwitness/v1/status/%s\nnonce %s\nepoch %d\nboot %s\nmono %d\nnewest %d\nhash %s\nopen %d\n"
            % (
                note.key_name(identity.public)[11:],
                b2a_base64(bytes(nonce)).decode().rstrip(),
                identity.epoch,
                hexlify(host.boot_id).decode(),
                clock.now_us(),
                newest,
                b2a_base64(journal.prev_hash()).decode().rstrip(),
                journal.open.seq if journal.open is not None else 0,
            )
        ).encode()
        self._signing = Signing(identity.seed, identity.public, self._text)

    def step(self) -> bool:
        """One slice; True when the signature is made."""
        return self._signing.step()

    def write(self, out: bytearray, at: int) -> int:
        """Write `u16 note length | note | told fields` to out[at:]; returns its length."""
        signed = note.signed(self._text, self._public, self._signing.signature)
        pack_into("<H", out, at, len(signed))
        # One `name value` a line, as many whole ones as fit.
        told = self._host.told().encode()[:_TOLD_BYTES]
        signed += told[: told.rfind(b"\n") + 1]
        out[at + 2 : at + 2 + len(signed)] = signed
        return 2 + len(signed)
