"""READ: the pages of a recording, one window at a time. LINK.md, "READ". Dropped while recording."""

from struct import pack_into, unpack_from

from micropython import const

from recorder.errors import CardError, LinkError
from recorder.link import frames

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from recorder.link.service import Link

_READ_ANSWER = const(0x83)
_SEALED = const(0x10)
_PAGE = const(0x11)
_SEALED_PAGE = const(0x40)
_MISSING = const(0x41)
_NOT_FOUND = const(7)
_CARD = const(8)
_FAULT = const(9)

_WINDOW_PAGES = const(64)  # LINK.md "Limits"
_PAGE_BYTES = const(4096)
_AT = const(7)  # of a payload in link.raw
_OPEN_AT = const(6)  # where an open page stands in its frame: type, request id, file page
_SEALED_AT = const(11)  # where a sealed one stands: type, request id, counter, command, file page
_FRAME_BYTES = const(4144)


class Reading:
    """Holds the buffers of a page (8.3 KB). `active` from `begin` until the window is over."""

    def __init__(self, link: "Link", do: "Any") -> None:
        self._link = link
        self._do = do
        self.active = False
        self._request = self._seq = self._page = self._stop = 0
        self._raw = bytearray(_FRAME_BYTES)
        self._wire = bytearray(frames.encoded_bytes(_FRAME_BYTES - 4))

    def begin(self, request: int, payload: memoryview) -> None:
        """Take a READ; it replaces one in progress. Raises ValueError or LinkError."""
        if len(payload) != 14:
            raise ValueError
        seq, first, count = unpack_from("<QIH", payload, 0)
        if not 1 <= count <= _WINDOW_PAGES or seq == 0:
            raise ValueError
        self.active = False
        try:
            pages = self._do.readable(seq)
        except CardError as error:
            raise LinkError(_CARD, error.kind) from None
        if first >= pages:
            raise LinkError(_NOT_FOUND, "no such page")
        self._request = request
        self._seq = seq
        self._page = first
        self._stop = min(first + count, pages)
        self.active = True

    def step(self) -> None:
        """Send one page of the window, or the end of it."""
        link = self._link
        try:
            if self._page >= self._stop:
                self.active = False
                pack_into("<I", link.raw, _AT, self._page)
                link.reply(self._request, _READ_ANSWER, 4)
            elif self._send_page():
                self._page += 1
            else:
                self.active = False
        except CardError as error:
            self.cancel(_CARD, error.kind)
        except Exception as error:  # whatever the card holds, the main loop goes on
            self.cancel(_FAULT, "fault: " + type(error).__name__)

    def _send_page(self) -> bool:
        link, raw = self._link, self._raw
        volume = self._do.volume
        if volume is None:
            raise CardError(CardError.GONE)
        view = memoryview(raw)
        page = view[_OPEN_AT : _OPEN_AT + _PAGE_BYTES]
        raw[1] = self._request
        try:
            volume.read_page(self._seq, self._page, page)
        except CardError as error:
            if error.kind in (CardError.NONE, CardError.GONE):
                raise
            # One bad sector must not keep the rest of a recording from its owner.
            pack_into("<I", link.raw, _AT, self._page)
            return link.reply(self._request, _MISSING, 4)
        if page[4] == 2 and bytes(page[:4]) == b"EWR1":  # proves and hides itself
            raw[0] = _PAGE
            pack_into("<I", raw, 2, self._page)
            return link.send(raw, _OPEN_AT + _PAGE_BYTES, self._wire)
        view[_SEALED_AT : _SEALED_AT + _PAGE_BYTES] = page
        raw[0] = _SEALED
        raw[6] = _SEALED_PAGE
        pack_into("<I", raw, 7, self._page)
        return link.send(raw, link.channel.seal(raw, _SEALED_AT + _PAGE_BYTES), self._wire)

    def cancel(self, code: int, text: str) -> None:
        """End the window with a refusal."""
        self.active = False
        self._link.refuse(self._request, code, text)
