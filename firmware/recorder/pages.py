"""The page being filled, and the queue of sealed ones that wait for the card. FORMAT.md, "Audio page".

Sealing happens as a page enters the queue, so that what waits is already safe to lose.
"""

from struct import pack, pack_into

import micropython
from micropython import const

from recorder import room
from recorder.hal import clock
from recorder.seal.wipe import wipe

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array
    from typing import Any as ptr8

    from recorder.seal.page import Sealer

QUEUE = const(5)  # sealed pages that may wait for the card: more than two seconds of speech
PCM = const(0)
FLAC = const(1)

# Events
MARK = const(1)
CLOCK = const(2)
META = const(3)
LOST = const(4)
MUTED = const(5)
UNMUTED = const(6)
INDICATOR = const(7)
BATTERY = const(8)
BEACON = const(9)
STOP = const(10)
SILENT = const(11)
HEARD = const(12)

_BODY = const(32)  # offset of the body in a page
_EVENTS = const(64)  # offset of the events
_ROOM = const(3984)  # bytes for events and audio
_END = const(4048)


@micropython.viper
def _shift(page: ptr8, start: int, count: int, by: int):  # type: ignore[no-untyped-def]
    """Move `count` bytes from `start` up by `by`, last first: no copy of the sound stays behind in the heap."""
    k = count - 1
    while k >= 0:
        page[start + by + k] = page[start + k]
        k -= 1


class PageQueue:
    """`buffer[offset():]` takes audio, at most `room()` bytes; `took` keeps it; `seal` moves the page into the queue."""

    _sealer: "Sealer"
    buffer: bytearray  # the page being filled, 4096 bytes

    def __init__(self) -> None:
        self._pages = room.PAGES  # QUEUE + 1 of them
        self._leaves = [bytearray(32) for _ in range(QUEUE + 1)]
        self.samples = 0  # in the page being filled
        self.codec = PCM
        self.seal_due = False  # the page is full and the queue was, too

    def begin(self, sealer: "Sealer") -> None:
        """Start with page 1 of a recording."""
        self._sealer = sealer
        self._head = 1  # page 0 lies in the first buffer
        self._most = QUEUE - 1
        self.queued = 0  # sealed pages that wait
        self._waiting: "list[bytes]" = []  # events that found no room yet
        self.lost = 0  # samples that are missing before the page being filled
        self._open()

    def header_written(self) -> None:
        """Page 0 is on the card: its buffer is one of the queue's from now on."""
        self._most = QUEUE

    def first(self) -> bool:
        """Page 1 is the one being filled."""
        return self._sealer.index == 1

    # --- filling ---------------------------------------------------------------------------------------------------

    def offset(self) -> int:
        """Where in `buffer` the next audio goes."""
        return _EVENTS + self._event_bytes + self._audio_bytes

    def room(self) -> int:
        """Bytes that the page still takes."""
        return _ROOM - self._event_bytes - self._audio_bytes

    def stamp(self, position: "array[int]", behind_us: int, stopped_us: int) -> None:
        """Say when and where the page's first sample was: `behind_us` before now, or before `stopped_us` if that is not 0."""
        pack_into("8s", self.buffer, _BODY, position)  # as it lies in memory: a number may exceed what needs no object
        if stopped_us:
            pack_into("<Q", self.buffer, _BODY + 8, stopped_us - behind_us)
        else:
            clock.stamp(self.buffer, _BODY + 8, behind_us)

    def took(self, samples: int, size: int, codec: int) -> None:
        """Keep the `size` bytes of audio that were put at `offset()`."""
        self.samples += samples
        self._audio_bytes += size
        self.codec = codec

    def event(self, kind: int, payload: bytes, mono_us: int = -1) -> None:
        """Put an event into this page or the next with room for it. `payload` is what follows its time."""
        if mono_us < 0:
            mono_us = clock.now_us()
        head = pack("<BBQ", kind, 8 + len(payload), mono_us)
        self._waiting.append(head + payload)

    def place_events(self) -> bool:
        """Move waiting events into the page; False if it has to be sealed first."""
        while self._waiting:
            event = self._waiting[0]
            if self.seal_due or self.room() < len(event):
                return False
            start = _EVENTS + self._event_bytes
            _shift(self.buffer, start, self._audio_bytes, len(event))
            self.buffer[start : start + len(event)] = event
            self._event_bytes += len(event)
            self._waiting.pop(0)
        return True

    def seal(self) -> bool:
        """Seal the page, stamped before, into the queue; False, and `seal_due`, while the queue is full."""
        if self.queued == self._most:
            self.seal_due = True
            return False
        page = self.buffer
        # Codec and lost are of 1 and 4 bytes, and zeros follow each.
        pack_into("<HHHHQ", page, _BODY + 16, self.samples, self._event_bytes, self._audio_bytes, self.codec, self.lost)
        wipe(memoryview(page)[self.offset() : _END])
        self._sealer.seal(page, self._leaves[self._fill])
        self.lost = 0
        self.queued += 1
        self._open()
        return True

    def _open(self) -> None:
        self._fill = (self._head + self.queued) % (QUEUE + 1)
        self.buffer = self._pages[self._fill]
        self.samples = 0
        self._event_bytes = 0
        self._audio_bytes = 0
        self.codec = PCM
        self.seal_due = False

    def forget(self) -> None:
        """Wipe the keys and what is plain: nothing more can be sealed."""
        self._sealer.forget()
        wipe(self.buffer)

    # --- the queue -------------------------------------------------------------------------------------------------

    def front(self) -> bytearray:
        """The oldest sealed page, 4096 bytes; only if `queued`."""
        return self._pages[self._head]

    def leaf(self) -> bytearray:
        """Its leaf hash, 32 bytes."""
        return self._leaves[self._head]

    def pop(self) -> None:
        """The front page is on the card."""
        self._head = (self._head + 1) % (QUEUE + 1)
        self.queued -= 1
