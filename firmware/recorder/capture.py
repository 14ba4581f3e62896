"""Capture: one step of microphone ring -> FLAC -> sealed page, taken in the main loop and in every wait of the card.

Never touches the volume and never re-enters itself. The ring holds a second, the queue six pages (about three seconds of
speech): that is what a stalled card may cost before sound is lost, and what is lost is counted to the sample.
"""

from array import array
from struct import pack, pack_into

import micropython
from micropython import const

from recorder.audio import flac
from recorder.hal import clock, mic
from recorder.seal.mac import sha256_into

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any as ptr8
    from typing import Any as ptr16
    from typing import Any as ptr32

    from recorder.seal.page import Sealer

_MASK = const((1 << 30) - 1)  # sample counts are compared modulo 2**30
_BLOCK = const(1024)  # samples a FLAC frame
_SMALL = const(128)  # samples: a smaller block is not worth its frame's head to fill a page
_LEAST = const(16)  # samples: the smallest block of FLAC but for a stream's last
_PAGE_SAMPLES = const(14000)  # a page closes then, so that silence too is stored within a second
_BODY = const(32)  # offset of the body in a page
_EVENTS = const(64)  # offset of the events
_ROOM = const(3984)  # bytes for events and audio
_QUEUE = const(6)  # sealed pages that may wait for the card
_MUTED_PAGE_SAMPLES = const(30 * 16000)  # while muted an empty page is written this often

# Events, FORMAT.md
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

_LATE = const(1)  # LOST: the ring was overwritten before it was read
_STALLED = const(2)  # LOST: the receiver had to wait; nothing more is known


@micropython.viper
def _copy_ring(ring: ptr16, start: int, count: int, out: ptr8, offset: int):  # type: ignore[no-untyped-def]
    for k in range(count):
        value = ring[(start + k) & 16383]
        out[offset + 2 * k] = value & 255
        out[offset + 2 * k + 1] = value >> 8


@micropython.viper
def _shift(page: ptr8, start: int, count: int, by: int):  # type: ignore[no-untyped-def]
    """Move `count` bytes from `start` up by `by`, last first: no copy of the sound stays behind in the heap."""
    k = count - 1
    while k >= 0:
        page[start + by + k] = page[start + k]
        k -= 1


@micropython.viper
def _advance(position: ptr32, by: int):  # type: ignore[no-untyped-def]
    """64-bit position (low word, high word) += by; allocates nothing."""
    low = int(position[0])
    total = low + by
    position[0] = total
    # A carry out of bit 31, told without unsigned compare: the top bit went from 1 to 0.
    if ((low >> 31) & 1) and not ((total >> 31) & 1):
        position[1] = int(position[1]) + 1


class Capture:
    """The page being filled and the queue of sealed ones. Buffers are made once; `begin` starts a recording in them."""

    _sealer: "Sealer"

    def __init__(self) -> None:
        self._pages = [bytearray(4096) for _ in range(_QUEUE + 1)]
        self._leaves = [bytearray(32) for _ in range(_QUEUE + 1)]
        self._ring = mic.ring()
        self._position = array("I", (0, 0))  # of the next sample to code, in the recording
        self._busy = False
        self.noise = bytearray(32)  # hash over the last second of sound: fresh numbers for the generator
        self.running = False
        self.muted = False
        self._codec = 0

    def begin(self, sealer: "Sealer") -> None:
        """Start taking samples; page 1 is the next one sealed. Raises what mic.start raises."""
        self._sealer = sealer
        self._head = 0
        self.queued = 0
        self._pending: "list[bytes]" = []  # events that found no room yet
        self._position[0] = self._position[1] = 0
        self._at = 0  # count of the next sample to code, modulo 2**30
        self._end = -1  # count where coding stops: at a mute or at the end
        self._closing: "tuple[int, bytes] | None" = None  # the event that stands last there
        self._stopped_us = 0
        self._lost = 0
        self.lost_total = 0
        self.muted = False
        self._open_page()
        mic.start()
        self.running = True

    # --- for the session -------------------------------------------------------------------------------------------

    def position(self) -> int:
        """Sample number of the next sample to code. May allocate."""
        return self._position[0] | (self._position[1] << 32)

    def sample_at(self, mono_us: int) -> int:
        """Sample number taken at `mono_us`, not before 0. May allocate."""
        now = self.position() + ((mic.count() - self._at) & _MASK)
        return max(0, now - (clock.now_us() - mono_us) * 2 // 125)

    def event(self, kind: int, payload: bytes, mono_us: int = -1) -> None:
        """Put an event into the page being filled, or into the next. `payload` is what follows its time."""
        self._pending.append(self._event(kind, payload, mono_us))
        self._place_events()

    def mute(self) -> None:
        """Off the record from this sample on; what was heard before is sealed at once."""
        if not self.muted and self._end < 0:
            self._finish_at(mic.count(), MUTED, b"")

    def unmute(self) -> None:
        """On the record again from this sample on."""
        if self.muted:
            self._skip()
            self.muted = False
            self.event(UNMUTED, pack("<Q", self.position()))

    def stop(self, reason: int) -> None:
        """Take no more samples; code and seal what is in the ring, STOP last. `settled` tells when that is done."""
        mic.stop()
        self._stopped_us = clock.now_us()
        if self.muted:
            self._skip()
        self._finish_at(mic.count(), STOP, pack("<B", reason))

    def settled(self) -> bool:
        """Nothing of a mute or a stop is left to be sealed."""
        return self._end < 0

    def abandon(self) -> None:
        """Stop at once, keep nothing: the card is gone."""
        mic.stop()
        self.running = False
        self._sealer.forget()
        self._wipe_sound()

    def front(self) -> "tuple[bytearray, bytearray]":
        """The oldest sealed page (4096 bytes) and its leaf hash (32 bytes); only if `queued`."""
        return self._pages[self._head], self._leaves[self._head]

    def pop(self) -> None:
        """The front page is on the card."""
        self._head = (self._head + 1) % (_QUEUE + 1)
        self.queued -= 1

    def pump(self) -> bool:
        """One step; True if there was something to do. Called from the main loop and from every wait of the card."""
        if self._busy or not self.running:
            return False
        self._busy = True
        try:
            return self._step()
        finally:
            self._busy = False

    # --- one step --------------------------------------------------------------------------------------------------

    def _step(self) -> bool:
        if self._pending and self._place_events():
            return True
        if self._seal_due:
            return self._close()
        lag = (mic.count() - self._at) & _MASK
        if self.muted and self._end < 0:
            return self._step_muted(lag)
        if lag > mic.RING_SAMPLES:
            return self._lose(lag)
        if self._end >= 0:
            lag = (self._end - self._at) & _MASK
            if lag == 0:
                return self._finish()
        elif lag < _BLOCK:
            return False
        return self._take(lag)

    def _take(self, available: int) -> bool:
        """Code up to a block of the `available` samples into the page; decides when the page is full."""
        left = _PAGE_SAMPLES - self._samples
        if left < _LEAST:
            return self._seal()
        count = min(_BLOCK, available, left)
        if 0 < available - count < _LEAST and available > _BLOCK:
            count -= _LEAST  # so that what remains is a block by itself
        room = _ROOM - self._event_bytes - self._audio_bytes
        if count < _LEAST or (self._samples and self._codec == 0):
            return self._take_pcm(count, room)
        if self._samples == 0:
            self._stamp()
        page = self._pages[self._fill]
        offset = _EVENTS + self._event_bytes + self._audio_bytes
        size = flac.encode(self._ring, self._at, count, self._position, page, offset, room)
        if size == 0:  # it does not fit: a smaller block may
            count = (count * room // flac.needed()) & ~63
            if count >= _SMALL:
                size = flac.encode(self._ring, self._at, count, self._position, page, offset, room)
            if size == 0:
                return self._seal()
        if size > 2 * count and self._samples == 0:
            return self._take_pcm(count, room)  # it does not shrink: plain samples for this page
        self._codec = 1
        return self._commit(count, size)

    def _take_pcm(self, count: int, room: int) -> bool:
        if self._samples and self._codec == 1:
            return self._seal()
        count = min(count, room // 2)
        if count == 0:
            return self._seal()
        if self._samples == 0:
            self._stamp()
        self._codec = 0
        offset = _EVENTS + self._event_bytes + self._audio_bytes
        _copy_ring(self._ring, self._at & 16383, count, self._pages[self._fill], offset)
        return self._commit(count, 2 * count)

    def _commit(self, count: int, size: int) -> bool:
        """Keep what was coded, unless the ring was overwritten meanwhile: then it is not there."""
        if ((mic.count() - self._at) & _MASK) <= mic.RING_SAMPLES:
            self._at = (self._at + count) & _MASK
            _advance(self._position, count)
            self._samples += count
            self._audio_bytes += size
        return True

    def _stamp(self) -> None:
        behind = ((mic.count() - self._at) & _MASK) * 125 // 2  # 62.5 µs a sample
        if self._stopped_us:
            # The count stands still since then, and time does not.
            pack_into("<Q", self._pages[self._fill], _BODY + 8, self._stopped_us - behind)
        else:
            clock.stamp(self._pages[self._fill], _BODY + 8, behind)
        self._first_low = self._position[0]
        self._first_high = self._position[1]

    # --- loss, mute, end -------------------------------------------------------------------------------------------

    def _lose(self, lag: int) -> bool:
        if self._samples or self._sealer.index == 1:
            return self._seal()  # a page's samples are consecutive: a loss stands between pages
        # Leave the ring's oldest block behind as well, so that there is time to read the rest.
        count = lag - (mic.RING_SAMPLES - _BLOCK)
        if self._end >= 0:
            count = min(count, (self._end - self._at) & _MASK)
        self.event(LOST, pack("<QIB", self.position(), count, _STALLED if mic.stalled() else _LATE))
        self._pass(count)
        self.lost_total += count
        return True

    def _pass(self, count: int) -> None:
        """Count samples that are not stored."""
        self._at = (self._at + count) & _MASK
        _advance(self._position, count)
        self._lost += count

    def _skip(self) -> None:
        self._pass((mic.count() - self._at) & _MASK)

    def _step_muted(self, lag: int) -> bool:
        if lag < _BLOCK:
            return False
        if self._samples:
            return self._seal()
        self._pass(lag)
        return self._seal() if self._lost >= _MUTED_PAGE_SAMPLES else True

    def _finish_at(self, count: int, kind: int, payload: bytes) -> None:
        self._end = count
        self._closing = (kind, payload)

    def _finish(self) -> bool:
        """All samples up to the end are coded: the closing event, then the page."""
        if self._closing:
            kind, payload = self._closing
            if kind == MUTED:
                payload = pack("<Q", self.position())
            if _ROOM - self._event_bytes - self._audio_bytes < 32:
                return self._seal()
            self._put(self._event(kind, payload, -1))
            self._closing = None
            self._last_kind = kind
            return self._seal()
        self._end = -1
        if self._last_kind == MUTED:
            self.muted = True
        else:
            self.running = False
            self._sealer.forget()
            sha256_into(self.noise, self._ring)
            self._wipe_sound()
        return True

    # --- the page --------------------------------------------------------------------------------------------------

    def _open_page(self) -> None:
        self._fill = (self._head + self.queued) % (_QUEUE + 1)
        self._samples = 0
        self._event_bytes = 0
        self._audio_bytes = 0
        self._codec = 0
        self._seal_due = False

    def _seal(self) -> bool:
        self._seal_due = True
        return self._close()

    def _close(self) -> bool:
        """Seal the page into the queue; False while the queue is full."""
        if self.queued == _QUEUE:
            return False
        page = self._pages[self._fill]
        if self._samples == 0:
            self._codec = 0
            self._stamp()
        end = _EVENTS + self._event_bytes + self._audio_bytes
        pack_into("<II", page, _BODY, self._first_low, self._first_high)
        pack_into(
            "<HHHBBII",
            page,
            _BODY + 16,
            self._samples,
            self._event_bytes,
            self._audio_bytes,
            self._codec,
            0,
            self._lost,
            0,
        )
        for k in range(end, _EVENTS + _ROOM):
            page[k] = 0
        self._sealer.seal(page, self._leaves[self._fill])
        self._lost = 0
        self.queued += 1
        self._open_page()
        return True

    def _event(self, kind: int, payload: bytes, mono_us: int) -> bytes:
        if mono_us < 0:
            mono_us = clock.now_us()
        return pack("<BBQ", kind, 8 + len(payload), mono_us) + payload

    def _place_events(self) -> bool:
        """Move waiting events into the page; True if the page has to be sealed first."""
        while self._pending:
            if self._seal_due or _ROOM - self._event_bytes - self._audio_bytes < len(self._pending[0]):
                self._seal_due = True
                return self._close()
            self._put(self._pending.pop(0))
        return False

    def _put(self, event: bytes) -> None:
        page = self._pages[self._fill]
        start = _EVENTS + self._event_bytes
        _shift(page, start, self._audio_bytes, len(event))
        page[start : start + len(event)] = event
        self._event_bytes += len(event)

    def _wipe_sound(self) -> None:
        """After the end no plain sound stays in memory: neither in the ring nor in the page being filled."""
        for buffer in (self._ring, self._pages[self._fill]):
            view = memoryview(buffer)
            for start in range(0, len(buffer), 256):
                view[start : start + 256] = _ZEROS


_ZEROS = bytes(256)
