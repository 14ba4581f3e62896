"""Commands of the idle set: LIST, READ, CLOCK, ENTROPY, IDENTIFY, BEACON, UNPAIR. LINK.md, "Commands". Dropped while recording."""

from struct import pack_into, unpack_from

from micropython import const

from recorder.errors import CardError, LinkError
from recorder.hal import clock
from recorder.link import frames
from recorder.link.service import BUTTON, CARD, LIST, MALFORMED, NOT_FOUND, PAGE, READ, SEALED, UNKNOWN

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from recorder.link.service import Link

CLOCK = const(0x04)
ENTROPY = const(0x05)
IDENTIFY = const(0x06)
BEACON = const(0x0A)
UNPAIR = const(0x10)
# Known by name and not offered yet: LINK.md keeps their numbers.
_LATER = {
    0x07: "STOP",
    0x08: "RECEIPT",
    0x09: "FREE",
    0x0B: "SETTINGS",
    0x0C: "FAULTS",
    0x0D: "SELFTEST",
    0x0E: "FORMAT",
    0x0F: "MAINTENANCE",
}
_SEALED_PAGE = const(0x40)
_MISSING = const(0x41)

WINDOW_PAGES = const(64)  # LINK.md "Limits"
_PAGE_BYTES = const(4096)
_AUDIO = const(2)  # page type that travels as it is
_LIST_BYTES = const(1024)
_ENTRY_BYTES = const(31)
_MARKS = const(64)
_BEACON_BYTES = const(33)  # u8 kind, then what was public: a hash
_ENTROPY_MIN = const(32)
_ENTROPY_MAX = const(64)
_CLOCK_AGE_US = const(10_000_000)  # a probe older than this binds nothing
_YEAR_2000_S = 946684800
_YEAR_2200_S = 7258118400
_SOURCE_HOST = const(1)


class Commands:
    """Holds the page buffers (8.4 KB) and the READ window; made when the first command comes."""

    def __init__(self, link: "Link") -> None:
        self._link = link
        self._host: "Any" = link.host
        self.streaming = False
        self._request = 0
        self._seq = 0
        self._page = 0
        self._stop = 0
        self._raw = bytearray(frames.MAX_PAGE_BYTES)
        self._wire = bytearray(frames.encoded_bytes(frames.MAX_PAGE_BYTES))

    def handle(self, request: int, command: int, payload: memoryview) -> None:
        """Answer one command. Raises LinkError to refuse it."""
        if command == LIST:
            self._list(request, payload)
        elif command == READ:
            self._read(request, payload)
        elif command == CLOCK:
            self._clock(request, payload)
        elif command == ENTROPY:
            if not _ENTROPY_MIN <= len(payload) <= _ENTROPY_MAX:
                raise LinkError(MALFORMED, "ENTROPY malformed")
            self._host.add_entropy(bytes(payload))
            self._link.answer(request, command, 0)
        elif command == IDENTIFY:
            self._host.identify()
            self._link.answer(request, command, 0)
        elif command == BEACON:
            if len(payload) != _BEACON_BYTES:
                raise LinkError(MALFORMED, "BEACON malformed")
            self._host.set_beacon(bytes(payload))
            self._link.answer(request, command, 0)
        elif command == UNPAIR:
            self._unpair(request)
        elif command in _LATER:
            raise LinkError(UNKNOWN, _LATER[command] + " is not offered by this recorder")
        else:
            raise LinkError(UNKNOWN, "command 0x%02x is not known" % command)

    def _list(self, request: int, payload: memoryview) -> None:
        if len(payload) != 8:
            raise LinkError(MALFORMED, "LIST malformed")
        after = unpack_from("<Q", payload, 0)[0]
        out = self._link.raw
        start = at = 7 + 2
        count = 0
        more = 0
        for seq, recording_id, pages, state, marks in self._host.recordings(after):
            shown = min(len(marks), _MARKS)
            if at - start + _ENTRY_BYTES + 4 * shown > _LIST_BYTES or count == 255:
                more = 1
                break
            pack_into("<Q", out, at, seq)
            out[at + 8 : at + 24] = recording_id
            pack_into("<IBH", out, at + 24, pages, state, shown)
            at += _ENTRY_BYTES
            for index in range(shown):
                pack_into("<I", out, at, marks[index])
                at += 4
            count += 1
        out[7] = more
        out[8] = count
        self._link.answer(request, LIST, at - 7)

    def _read(self, request: int, payload: memoryview) -> None:
        if len(payload) != 14:
            raise LinkError(MALFORMED, "READ malformed")
        seq, first, count = unpack_from("<QIH", payload, 0)
        if not 1 <= count <= WINDOW_PAGES or seq == 0:
            raise LinkError(MALFORMED, "READ malformed")
        for found, _, pages, state, _ in self._host.recordings(seq - 1):
            if found != seq or state == 3 or first >= pages:
                break
            self._request = request
            self._seq = seq
            self._page = first
            self._stop = min(first + count, pages)
            self.streaming = True
            return
        raise LinkError(NOT_FOUND, "no such page")

    def stream(self) -> None:
        """Send one page of the window, or the end of it."""
        link = self._link
        if self._page >= self._stop:
            self.streaming = False
            pack_into("<I", link.raw, 7, self._page)
            link.answer(self._request, READ, 4)
            return
        raw = self._raw
        page = memoryview(raw)[11 : 11 + _PAGE_BYTES]
        volume = self._host.volume
        if volume is None:
            self.cancel(CARD, CardError.GONE)
            return
        try:
            volume.read_page(self._seq, self._page, page)
        except (CardError, OSError) as error:
            if isinstance(error, CardError) and error.kind in (CardError.NONE, CardError.GONE):
                self.cancel(CARD, error.kind)
                return
            # One bad sector must not keep the rest of a recording from its owner.
            pack_into("<I", link.raw, 7, self._page)
            sent = link.send_sealed(self._request, _MISSING, 4)
        else:
            raw[1] = self._request
            if bytes(page[:5]) == b"EWR1\x02":
                # Proves and hides itself. The head moves up to the page: type, request id, file page.
                sent = self._send_open_page()
            else:
                raw[0] = SEALED
                raw[6] = _SEALED_PAGE
                pack_into("<I", raw, 7, self._page)
                end = link.channel.seal(raw, 2, 5 + _PAGE_BYTES)
                sent = link.send(raw, end, self._wire)
        self._page += 1
        if not sent:
            self.streaming = False

    def _send_open_page(self) -> bool:
        raw = self._raw
        view = memoryview(raw)
        view[6 : 6 + _PAGE_BYTES] = view[11 : 11 + _PAGE_BYTES]
        raw[0] = PAGE
        pack_into("<I", raw, 2, self._page)
        return self._link.send(raw, 6 + _PAGE_BYTES, self._wire)

    def cancel(self, code: int, text: str) -> None:
        """End the window with a refusal."""
        self.streaming = False
        self._link.refuse(self._request, code, text)

    def _unpair(self, request: int) -> None:
        if not self._host.button_is_held():
            raise LinkError(BUTTON, "hold the button")
        if self._host.journal.open is not None:
            raise LinkError(CARD, "a recording is unfinished: put its card in first")
        self._host.unpair()
        self._link.answer(request, UNPAIR, 0)
        self._link.close()

    def _clock(self, request: int, payload: memoryview) -> None:
        if len(payload) == 0:
            pack_into("<Q", self._link.raw, 7, clock.now_us())
            self._link.answer(request, CLOCK, 8)
            return
        if len(payload) != 20:
            raise LinkError(MALFORMED, "CLOCK malformed")
        mono_us, utc_us, error_us = unpack_from("<QqI", payload, 0)
        age = clock.now_us() - mono_us
        if not 0 <= age <= _CLOCK_AGE_US or not _YEAR_2000_S <= utc_us // 1_000_000 < _YEAR_2200_S:
            raise LinkError(MALFORMED, "CLOCK out of date")
        self._host.set_clock(utc_us + age, error_us, _SOURCE_HOST)
        self._link.answer(request, CLOCK, 0)
