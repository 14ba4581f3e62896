"""Sealing: the ratchet of one recording turns a plain body into an audio page and its leaf hash. FORMAT.md, "Audio page"."""

from struct import pack_into

from micropython import const

from recorder.seal import aesctr
from recorder.seal.mac import hmac_into, sha256
from recorder.seal.wipe import wipe

PAGE_BYTES = const(4096)
BODY_OFFSET = const(32)
TAG_OFFSET = const(4048)
DEVICE_TAG_OFFSET = const(4080)
MAGIC = b"EWR1"
HEADER = const(1)
AUDIO = const(2)
CHECKPOINT = const(3)
SUITE = const(1)


def device_tag_key(device_secret: bytes, recording_id: bytes) -> bytearray:
    """Kdm, 32 bytes: lets the device tell its own pages from stale sectors after a power cut; it opens nothing."""
    key = bytearray(32)
    hmac_into(key, device_secret, b"earwitness/v1/tag", recording_id)
    return key


def finish_leaf(page: bytearray, mac_key: "bytearray | None", tag_key: bytearray, leaf: bytearray) -> None:
    """Write tag (zero without `mac_key`, as in the header) and device tag into `page`; the leaf hash, 32 bytes, into `leaf`."""
    view = memoryview(page)
    digest = sha256(view[:TAG_OFFSET])
    tag = view[TAG_OFFSET:DEVICE_TAG_OFFSET]
    if mac_key is None:
        wipe(tag)
    else:
        hmac_into(tag, mac_key, digest)
    hmac_into(view[DEVICE_TAG_OFFSET:], tag_key, digest, tag)
    leaf[:] = sha256(b"\0", digest, view[TAG_OFFSET:])


class Sealer:
    """The keys of one recording, one page ahead: what it holds opens nothing that was sealed before."""

    def __init__(self, recording_id: bytes, chain_key: bytearray, tag_key: bytearray) -> None:
        """Takes over `chain_key` (CK_1) and `tag_key` (Kdm), 32 bytes each: `forget` wipes them."""
        self._id = recording_id
        self._chain = chain_key
        self._tag_key = tag_key
        self._page_key = bytearray(32)
        self._work_key = bytearray(32)
        self.index = 1  # of the next page

    def seal(self, page: bytearray, leaf: bytearray) -> None:
        """Seal the plain body in `page[32:4048]` in place as leaf `index` and step the ratchet. A page is never sealed twice."""
        pack_into("<4sBBHI16sI", page, 0, MAGIC, AUDIO, SUITE, 0, self.index, self._id, 0)
        key = self._page_key
        work = self._work_key
        hmac_into(key, self._chain, b"page")
        hmac_into(work, self._chain, b"next")
        self._chain[:] = work
        hmac_into(work, key, b"enc")
        aesctr.xor(work, memoryview(page)[BODY_OFFSET:TAG_OFFSET])
        hmac_into(work, key, b"mac")
        finish_leaf(page, work, self._tag_key, leaf)
        wipe(key)
        wipe(work)
        self.index += 1

    def forget(self) -> None:
        """Wipe every key: nothing more can be sealed."""
        for key in (self._chain, self._tag_key, self._page_key, self._work_key):
            wipe(key)
