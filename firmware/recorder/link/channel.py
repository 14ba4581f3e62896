"""One session's keys: mutual proof of the link secret, then sealed frames. LINK.md, "Sessions" and "Sealed frames".

The host proves first, so that a stranger who asks learns nothing; only then does the recorder prove itself.
"""

from struct import pack_into, unpack_from

from micropython import const

from recorder.seal import aesctr, hkdf, mac
from recorder.seal.wipe import wipe

NONCE_BYTES = const(32)
PROOF_BYTES = const(32)
COUNTER_BYTES = const(4)
TAG_BYTES = const(16)
_KEY_BYTES = const(32)
_LAST_COUNTER = const(0x3FFFFFFF)  # small integer on the chip; far beyond any session
_HOST = b"\x01"
_DEVICE = b"\x02"


class Channel:
    """States: closed (no nonces) -> challenged -> open. `close` wipes every key and leads back to closed."""

    def __init__(self) -> None:
        self._nonces = bytearray(2 * NONCE_BYTES)  # host's, then ours
        self._versions = bytearray(4)
        self._keys = bytearray(4 * _KEY_BYTES)  # host enc, host mac, device enc, device mac
        self._frame_key = bytearray(_KEY_BYTES)
        self._tag = bytearray(PROOF_BYTES)
        self._number = bytearray(COUNTER_BYTES)
        self._sent = 0
        self._received = 0
        self.challenged = False
        self.open = False

    def close(self) -> None:
        """Forget the session."""
        self.challenged = False
        self.open = False
        for secret in (self._keys, self._frame_key, self._tag, self._nonces):
            wipe(secret)
        self._sent = 0
        self._received = 0

    def challenge(
        self, host_nonce: "bytes | memoryview", nonce: "bytes | bytearray", versions: "bytes | bytearray"
    ) -> None:
        """Both nonces are known. `versions`: lowest and highest of the host, lowest and highest of the recorder."""
        self.close()
        self._nonces[:NONCE_BYTES] = host_nonce
        self._nonces[NONCE_BYTES:] = nonce
        self._versions[:] = versions
        self.challenged = True

    def prove(
        self, link_secret: "bytes | bytearray", proof: "bytes | memoryview", answer: "bytearray | memoryview"
    ) -> bool:
        """Check the host's proof. True: `answer` (32 bytes) holds our own and the channel is open; False: it is closed."""
        if not self.challenged:
            return False
        self.challenged = False
        label = b"earwitness/v1/link/proof"
        mac.hmac_into(self._tag, link_secret, label, _HOST, self._versions, self._nonces)
        if len(proof) != PROOF_BYTES or not mac.equal(self._tag, proof):
            self.close()
            return False
        mac.hmac_into(self._tag, link_secret, label, _DEVICE, self._versions, self._nonces)
        answer[:] = self._tag
        for index, name in enumerate((b"host/enc", b"host/mac", b"device/enc", b"device/mac")):
            key = hkdf.hkdf(link_secret, self._nonces, b"earwitness/v1/link/" + name, _KEY_BYTES)
            self._keys[index * _KEY_BYTES : (index + 1) * _KEY_BYTES] = key
            wipe(key)
        self.open = True
        return True

    def _key(self, index: int) -> memoryview:
        return memoryview(self._keys)[index * _KEY_BYTES : (index + 1) * _KEY_BYTES]

    def _apply(self, index: int, text: memoryview) -> None:
        mac.hmac_into(self._frame_key, self._key(index), b"frame", self._number)
        aesctr.xor(self._frame_key, text)

    def unseal(self, frame: bytearray, start: int, end: int) -> "memoryview | None":
        """Open the sealed payload frame[start:end] of the frame that begins at 0; None if it is not the host's, was
        changed, or does not stand later than every frame before it (repeated, reordered)."""
        if not self.open or end - start < COUNTER_BYTES + TAG_BYTES + 1:
            return None
        view = memoryview(frame)
        number = unpack_from("<I", frame, start)[0]
        mac.hmac_into(self._tag, self._key(1), view[: end - TAG_BYTES])
        if not mac.equal(memoryview(self._tag)[:TAG_BYTES], view[end - TAG_BYTES : end]):
            return None
        if number <= self._received or number > _LAST_COUNTER:
            return None
        self._received = number
        self._number[:] = view[start : start + COUNTER_BYTES]
        text = view[start + COUNTER_BYTES : end - TAG_BYTES]
        self._apply(0, text)
        return text

    def seal(self, frame: bytearray, start: int, count: int) -> int:
        """Seal in place: frame[start + 4 : start + 4 + count] is the text, frame[0:start] its head. Returns where the
        frame ends. Raises ValueError when the session has sent all the frames that one session may."""
        if not self.open or self._sent >= _LAST_COUNTER:
            raise ValueError("session over")
        self._sent += 1
        view = memoryview(frame)
        pack_into("<I", self._number, 0, self._sent)
        view[start : start + COUNTER_BYTES] = self._number
        end = start + COUNTER_BYTES + count
        self._apply(2, view[start + COUNTER_BYTES : end])
        mac.hmac_into(self._tag, self._key(3), view[:end])
        view[end : end + TAG_BYTES] = memoryview(self._tag)[:TAG_BYTES]
        return end + TAG_BYTES
