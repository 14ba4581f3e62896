"""Opening pages: tag first, then the body."""

from __future__ import annotations

from hmac import compare_digest

from earwitness import body, keys
from earwitness.body import Body
from earwitness.container import Container
from earwitness.errors import FormatError, IntegrityError
from earwitness.keys import Opener, Ratchet
from earwitness.page import BODY_OFFSET, DEVICE_TAG_OFFSET, TAG_OFFSET
from earwitness.structure import Leaf


def open_page(page: bytes, digest: bytes, page_key: bytes) -> Body:
    """The body of an audio page with its K_i.

    Raises IntegrityError if its tag is not by that key, FormatError if what is inside breaks a rule.
    """
    enc, mac = keys.page_keys(page_key)
    if not compare_digest(keys.hmac32(mac, digest), page[TAG_OFFSET:DEVICE_TAG_OFFSET]):
        raise IntegrityError("its tag is not by the key of this recording")
    parsed = body.parse(keys.open_body(enc, memoryview(page)[BODY_OFFSET:TAG_OFFSET]))
    if parsed.first_sample < parsed.lost_before:
        raise FormatError("more samples are lost than there were")
    return parsed


class PageOpener:
    """The ratchet of one recording at work."""

    def __init__(self, container: Container, opener: Opener) -> None:
        """Raises KeyMissingError if `opener` is no recipient of the recording."""
        header = container.header
        self._ratchet = Ratchet(keys.recording_key(header, opener), header)

    def open(self, leaf: Leaf) -> Body:
        """The body of a leaf; indexes have to rise.

        Raises IntegrityError if its tag is not by the recording's key, FormatError if what is inside breaks a rule.
        """
        if leaf.index < self._ratchet.index:
            raise IntegrityError("it stands out of order")
        return open_page(leaf.page, leaf.digest, self._ratchet.page_key(leaf.index))
