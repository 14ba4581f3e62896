"""One session's keys: mutual proof of the link secret, then sealed frames. LINK.md, "Sessions" and "Sealed frames".

The host proves first, so that a stranger who asks learns nothing; only then does the recorder prove itself.
"""

from struct import pack_into, unpack_from

from micropython import const

from recorder.seal import aesctr, mac
from recorder.seal.wipe import wipe

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Union

    Bytes = Union[bytes, bytearray, memoryview]

# A sealed frame: type, request id, then these
_START = const(2)
_TEXT = const(6)  # behind the counter
_TAG_BYTES = const(16)
_LAST_COUNTER = const(0x3FFFFFFF)  # small integer on the chip; far beyond any session


class Channel:
    """States: closed (no nonces) -> challenged -> open. `close` wipes every key and leads back to closed."""

    def __init__(self) -> None:
        self._nonces = bytearray(64)  # host's, then ours
        self._versions = b""
        self._keys = bytearray(128)  # host enc, host mac, device enc, device mac
        self._scratch = bytearray(32)
        self._sent = self._received = 0
        self._challenged = False
        self.open = False

    def close(self) -> None:
        """Forget the session."""
        self._challenged = self.open = False
        self._sent = self._received = 0
        for secret in (self._keys, self._scratch, self._nonces):
            wipe(secret)

    def challenge(self, host_nonce: "Bytes", nonce: "Bytes", versions: bytes) -> None:
        """Both nonces are known. `versions`: lowest and highest of the host, lowest and highest of the recorder."""
        self.close()
        self._nonces[:32] = host_nonce
        self._nonces[32:] = nonce
        self._versions = versions
        self._challenged = True

    def prove(self, link_secret: "Bytes", proof: "Bytes", answer: "bytearray | memoryview") -> bool:
        """Check the host's proof. True: `answer` (32 bytes) holds our own and the channel is open; False: it is closed."""
        if not self._challenged:
            return False
        scratch = self._scratch
        for who in (b"\x01", b"\x02"):  # the host's, then ours
            mac.hmac_into(scratch, link_secret, b"earwitness/v1/link/proof", who, self._versions, self._nonces)
            if who == b"\x01" and not mac.equal(scratch, proof):
                self.close()
                return False
        answer[:] = scratch
        # HKDF of one block each (RFC 5869)
        mac.hmac_into(scratch, self._nonces, link_secret)
        for index, name in enumerate((b"host/enc", b"host/mac", b"device/enc", b"device/mac")):
            mac.hmac_into(self._key(index), scratch, b"earwitness/v1/link/", name, b"\x01")
        self._challenged = False
        self.open = True
        return True

    def _key(self, index: int) -> memoryview:
        return memoryview(self._keys)[index * 32 : index * 32 + 32]

    def _tag(self, index: int, frame: memoryview) -> memoryview:
        mac.hmac_into(self._scratch, self._key(index), frame)
        return memoryview(self._scratch)[:_TAG_BYTES]

    def _apply(self, index: int, frame: memoryview) -> memoryview:
        mac.hmac_into(self._scratch, self._key(index), b"frame", frame[_START:_TEXT])
        text = frame[_TEXT:]
        aesctr.xor(self._scratch, text)
        return text

    def unseal(self, frame: bytearray, end: int) -> "memoryview | None":
        """Open the sealed frame frame[0:end] in place; None if it is not the host's, was changed, or does not stand
        later than every frame before it (repeated, reordered)."""
        body = memoryview(frame)[: max(end - _TAG_BYTES, 0)]
        if not self.open or len(body) <= _TEXT:
            return None
        number = unpack_from("<I", frame, _START)[0]
        if not mac.equal(self._tag(1, body), memoryview(frame)[end - _TAG_BYTES : end]):
            return None
        if not self._received < number <= _LAST_COUNTER:
            return None
        self._received = number
        return self._apply(0, body)

    def seal(self, frame: bytearray, end: int) -> int:
        """Seal frame[6:end], its text, in place; frame[0:2] is its head. Returns where the frame ends then. Raises
        ValueError when the session has sent all the frames that one session may."""
        if not self.open or self._sent >= _LAST_COUNTER:
            raise ValueError("session over")
        self._sent += 1
        pack_into("<I", frame, _START, self._sent)
        body = memoryview(frame)[:end]
        self._apply(2, body)
        memoryview(frame)[end : end + _TAG_BYTES] = self._tag(3, body)
        return end + _TAG_BYTES
