"""Capture: one step of microphone ring -> FLAC -> sealed page, taken in the main loop and in every wait of the card.

Never touches the volume and never re-enters itself. The ring holds a second, the queue of pages more than two of speech: that
is what a stalled card may cost before sound is lost, and what is lost is counted to the sample.

A microphone that dies goes on being recorded, and the recording says from when to when it gave nothing.
"""

from array import array
from struct import pack

import micropython
from micropython import const

from recorder import pages
from recorder.audio.flac import constant, encode, needed
from recorder.hal import clock, mic
from recorder.pages import PageQueue
from recorder.seal.mac import sha256_into
from recorder.seal.wipe import wipe

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
_MUTED_PAGE_SAMPLES = const(30 * 16000)  # while muted an empty page is written this often
_CLOSING_BYTES = const(32)  # the longest event that ends a page
_DEAD = const(24000)  # samples of one value: in the quietest room a microphone hisses

_TICKS = const((1 << 26) - 1)  # milliseconds that make 2**30 samples
_STANDING = const(8000)  # samples: no hiccup any more
_SLACK = const(40)  # samples that count and time may be apart: 16 are a millisecond, 8 lie in the FIFO at the start

_LATE = const(1)  # LOST: the ring was overwritten before it was read
_STALLED = const(2)  # LOST: the receiver stood still; how long, time tells


@micropython.viper
def _copy_ring(ring: ptr16, start: int, count: int, out: ptr8, offset: int):  # type: ignore[no-untyped-def]
    for k in range(count):
        value = ring[(start + k) & 16383]
        out[offset + 2 * k] = value & 255
        out[offset + 2 * k + 1] = value >> 8


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
    """Takes sound into `queue`. Made once; `begin` starts a recording."""

    def __init__(self) -> None:
        self.queue = PageQueue()
        self.noise = bytearray(32)  # hash over the last second of sound: fresh numbers for the generator
        self.running = False
        self.muted = False
        self.silent = False  # the microphone gives nothing
        self.late = False  # what waited for the card was lost; whoever tells of it sets this back
        self._ring = mic.ring()
        self._position = array("I", (0, 0))  # of the next sample to code, in the recording
        self._busy = False

    def begin(self, sealer: "Sealer") -> None:
        """Start taking samples; page 1 is the next one sealed. Raises what mic.start raises."""
        self.queue.begin(sealer)
        self._position[0] = self._position[1] = 0
        self._at = 0  # count of the next sample to code, modulo 2**30
        self._end = -1  # count where coding stops: at a mute or at the end
        self._closing = 0  # the event that stands last there, MUTED or STOP
        self._stop_reason = 0
        self._stopped_us = 0
        self.lost_total = 0
        self.muted = self.silent = self.late = False
        self._constant = 0  # samples of one value, until the next to code
        self._missed = 0  # samples that the receiver did not take, to be told
        mic.start()
        self._ahead = (clock.ticks_ms() & _TICKS) << 4  # of the count, time in samples, modulo 2**30
        self.running = True

    # --- for the session -------------------------------------------------------------------------------------------

    def position(self) -> int:
        """Sample number of the next sample to code. May allocate."""
        return self._position[0] | (self._position[1] << 32)

    def sample_at(self, mono_us: int) -> int:
        """Sample number taken at `mono_us`, not before 0. May allocate."""
        now = self.position() + self._lag()
        return max(0, now - (clock.now_us() - mono_us) * 2 // 125)

    def mute(self) -> None:
        """Off the record from this sample on; what was heard before is sealed at once."""
        if not self.muted and self._end < 0:
            self._end = mic.count()
            self._closing = pages.MUTED

    def unmute(self) -> None:
        """On the record again from this sample on."""
        if self.muted:
            self._pass(self._lag())
            self.muted = False
            self.queue.event(pages.UNMUTED, pack("<Q", self.position()))

    def stop(self, reason: int) -> None:
        """Take no more samples; code and seal what is in the ring, STOP last. Not `running` any more when that is done."""
        self.watch()
        mic.stop()
        self._stopped_us = clock.now_us()
        self._stop_reason = reason
        if self._end < 0:  # else a mute is being sealed: what was heard after it stays off the record
            self._end_here()

    def watch(self) -> None:
        """Compare count and time, at each page and once a second: what a receiver that stood still did not take is lost."""
        if self._stop_reason:
            return
        due = (clock.ticks_ms() & _TICKS) << 4
        behind = (((due - self._ahead) & _MASK) - mic.count()) & _MASK
        if behind > _MASK >> 1:
            behind = 0
        if not self._missed and (mic.stalled() or behind > _SLACK):
            self._missed = max(behind, 1)
            self._ahead = (self._ahead + self._missed) & _MASK
            if behind > _STANDING and not self.silent:
                self._hears(False, 0)

    def has_time(self) -> bool:
        """Less than a quarter of the ring waits: now is the time for what holds up everything, such as the collector."""
        return self._lag() < mic.RING_SAMPLES // 4

    def abandon(self) -> None:
        """Stop at once, keep nothing: the card is gone."""
        mic.stop()
        self.running = False
        self.queue.forget()
        wipe(self._ring)

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

    def _lag(self) -> int:
        """Samples that were taken and not yet coded."""
        return (mic.count() - self._at) & _MASK

    def _step(self) -> bool:
        queue = self.queue
        if queue.seal_due or not queue.place_events():
            return self._seal()
        lag = self._missed
        if lag:
            if self._tell_lost(lag, _STALLED):
                self._missed = 0
            return True
        lag = self._lag()
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
        queue = self.queue
        left = _PAGE_SAMPLES - queue.samples
        if left < _LEAST:
            return self._seal()
        count = min(_BLOCK, available, left)
        if 0 < available - count < _LEAST and available > _BLOCK:
            count -= _LEAST  # so that what remains is a block by itself
        if queue.samples == 0:
            self.watch()
            if self._missed:
                return True
            self._stamp()
        if count < _LEAST or (queue.samples and queue.codec == pages.PCM):
            return self._take_pcm(count)
        size = self._code(count)
        if size == 0:  # it does not fit: a smaller block may
            count = (count * queue.room() // needed()) & ~63
            if count >= _SMALL:
                size = self._code(count)
            if size == 0:
                return self._seal()
        if not constant():
            self._constant = 0
            if self.silent:
                self._hears(True, 0)
        elif not self.silent:
            self._constant += count
            if self._constant >= _DEAD:
                self._hears(False, self._constant - count)
        if size > 2 * count and queue.samples == 0:
            return self._take_pcm(count)  # it does not shrink: plain samples for this page
        return self._keep(count, size, pages.FLAC)

    def _code(self, count: int) -> int:
        """Code that many samples behind what the page holds; the bytes they take, 0 if they do not fit."""
        # By itself: with its arguments the frame of `_take` would exceed what MicroPython puts on the C stack (11 words).
        return encode(
            self._ring, self._at, count, self._position, self.queue.buffer, self.queue.offset(), self.queue.room()
        )

    def _take_pcm(self, count: int) -> bool:
        queue = self.queue
        count = min(count, queue.room() // 2)
        if count == 0 or (queue.samples and queue.codec == pages.FLAC):
            return self._seal()
        _copy_ring(self._ring, self._at & 16383, count, queue.buffer, queue.offset())
        return self._keep(count, 2 * count, pages.PCM)

    def _keep(self, count: int, size: int, codec: int) -> bool:
        """Keep what was coded, unless the ring was overwritten meanwhile: then it is not there."""
        if self._lag() <= mic.RING_SAMPLES:
            self._at = (self._at + count) & _MASK
            _advance(self._position, count)
            self.queue.took(count, size, codec)
        return True

    def _stamp(self) -> None:
        # After the stop the count stands still, and time does not.
        self.queue.stamp(self._position, self._lag() * 125 // 2, self._stopped_us)  # 62.5 µs a sample

    def _seal(self) -> bool:
        if self.queue.samples == 0:
            self._stamp()
        return self.queue.seal()

    # --- loss, mute, end -------------------------------------------------------------------------------------------

    def _hears(self, on: bool, ago: int) -> None:
        """The microphone gives sound again, or none any more, from `ago` samples before the next to code on."""
        self.silent = not on
        self.queue.event(pages.HEARD if on else pages.SILENT, pack("<Q", self.position() - ago))

    def _lose(self, lag: int) -> bool:
        # Leave the ring's oldest block behind as well, so that there is time to read the rest.
        count = lag - (mic.RING_SAMPLES - _BLOCK)
        if self._end >= 0:
            count = min(count, (self._end - self._at) & _MASK)
        if self._tell_lost(count, _LATE):
            self.late = True
            self._at = (self._at + count) & _MASK
        return True

    def _tell_lost(self, count: int, reason: int) -> bool:
        """False while the page being filled has to be sealed: its samples are consecutive, a loss stands between pages."""
        if self.queue.samples or self.queue.first():
            self._seal()
            return False
        self.queue.event(pages.LOST, pack("<QIB", self.position(), count, reason))
        self._skip(count)
        self.lost_total += count
        return True

    def _skip(self, count: int) -> None:
        """Number samples that are not stored."""
        _advance(self._position, count)
        self.queue.lost += count
        self._constant = 0

    def _pass(self, count: int) -> None:
        """Leave samples that were taken."""
        self._at = (self._at + count) & _MASK
        self._skip(count)

    def _step_muted(self, lag: int) -> bool:
        if lag < _BLOCK:
            return False
        if self.queue.samples:
            return self._seal()
        self._pass(lag)
        return self._seal() if self.queue.lost >= _MUTED_PAGE_SAMPLES else True

    def _end_here(self) -> None:
        if self.muted:
            self._pass(self._lag())
        self._end = mic.count()
        self._closing = pages.STOP

    def _finish(self) -> bool:
        """All samples up to the end are coded: the closing event, then the page, then the new state."""
        kind = self._closing
        if kind:
            if self.queue.room() < _CLOSING_BYTES:
                return self._seal()
            payload = pack("<Q", self.position()) if kind == pages.MUTED else pack("<B", self._stop_reason)
            self.queue.event(kind, payload)
            self.queue.place_events()
            self._closing = 0
            self._ended = kind
            return self._seal()
        self._end = -1
        if self._ended == pages.STOP:
            self.running = False
            self.queue.forget()
            sha256_into(self.noise, self._ring)
            wipe(self._ring)
            return True
        self.muted = True
        if self._stop_reason:
            self._end_here()
        return True
