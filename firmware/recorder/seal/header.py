"""Page 0 of a recording, and the keys that start its ratchet. Idle set: made while priming, in RAM only, used once."""

from struct import pack_into

from micropython import const

from recorder import room
from recorder.seal import age
from recorder.seal.hkdf import hkdf
from recorder.seal.mac import sha256_into
from recorder.seal.page import HEADER, MAGIC, PAGE_BYTES, SUITE, TAG_OFFSET, Sealer, device_tag_key, finish_leaf
from recorder.seal.wipe import wipe

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from recorder.seal.drbg import Drbg
    from recorder.store.identity import Identity

_ENVELOPE_OFFSET = const(102)


class Header:
    """A header ready to be written: `page` 4096 bytes, `leaf` 32 bytes, `recording_id` 16 bytes, and its `sealer`."""

    def __init__(
        self,
        identity: "Identity",
        seq: int,
        prev: bytes,
        drbg: "Drbg",
        between: "Callable[[], object] | None" = None,
    ) -> None:
        self.seq = seq
        self.prev = prev
        self.recording_id = bytes(drbg.generate(16))
        self.page = page = room.HEADER
        wipe(page)
        self.leaf = bytearray(32)
        key = drbg.generate(32)
        envelope = age.envelope(key, identity.recipients, drbg, between)
        pack_into("<4sBBHI16sQ", page, 0, MAGIC, HEADER, SUITE, 0, PAGE_BYTES, self.recording_id, seq)
        page[36:68] = prev
        page[68:100] = identity.public
        pack_into("<H", page, 100, len(envelope))
        page[_ENVELOPE_OFFSET : _ENVELOPE_OFFSET + len(envelope)] = envelope
        tag_key = device_tag_key(identity.device_secret, self.recording_id)
        finish_leaf(page, None, tag_key, self.leaf)
        # The chain starts from the header's own bytes, so that no page opens under another header.
        salt = bytearray(32)
        sha256_into(salt, memoryview(page)[:TAG_OFFSET])
        self.sealer = Sealer(self.recording_id, hkdf(key, salt, b"earwitness/v1/chain", 32), tag_key)
        wipe(key)
