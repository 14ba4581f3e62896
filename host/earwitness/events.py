"""Events inside a page body: `{u8 type, u8 length, u64 mono_us, …}` (FORMAT.md, "Events")."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from earwitness.errors import FormatError

MARK, CLOCK, META, LOST, MUTED, UNMUTED, INDICATOR, BATTERY, BEACON, STOP, SILENT, HEARD = range(1, 13)
NAMES = {
    MARK: "mark",
    CLOCK: "clock",
    META: "meta",
    LOST: "lost",
    MUTED: "muted",
    UNMUTED: "unmuted",
    INDICATOR: "indicator",
    BATTERY: "battery",
    BEACON: "beacon",
    STOP: "stop",
    SILENT: "silent",
    HEARD: "heard",
}
CLOCK_SOURCES = {1: "the owner's computer", 2: "the recorder's clock chip"}
LOST_REASONS = {1: "the card was too slow", 2: "the microphone's receiver stalled"}
MARK_KINDS = {1: "moment", 2: "disputed", 3: "notice given"}
STOP_REASONS = {1: "switch", 2: "battery", 3: "card full", 4: "the owner's computer", 5: "rollover", 6: "fault"}

_MONO_BYTES = 8
_RATE = 16_000  # the one that version 1 has
_U64 = struct.Struct("<Q")
_MARK = struct.Struct("<BQ")
_CLOCK = struct.Struct("<qIB")
_META = struct.Struct("<32s16sI")
_LOST = struct.Struct("<QIB")
_FIXED_BYTES = {
    MARK: _MARK.size,
    CLOCK: _CLOCK.size,
    LOST: _LOST.size,
    MUTED: 8,
    UNMUTED: 8,
    INDICATOR: 2,
    BATTERY: 2,
    BEACON: 33,
    STOP: 1,
    SILENT: 8,
    HEARD: 8,
}


@dataclass(frozen=True, slots=True)
class Event:
    """One event as stored. `data` is what follows the time; the typed readings below cannot fail for a parsed event."""

    type: int
    mono_us: int
    data: bytes

    @property
    def name(self) -> str:
        """Word for the type; unknown types are kept and shown by number."""
        return NAMES.get(self.type, f"unknown {self.type}")


@dataclass(frozen=True, slots=True)
class Meta:
    """What recorded: hashes and names as the device gave them."""

    firmware_hash: bytes
    boot_id: bytes
    rate: int
    version: str
    microphone: str
    recorder: str
    began: str  # "switch" or "power came back"; empty where the recorder does not say


@dataclass(frozen=True, slots=True)
class Clock:
    """An anchor: at `mono_us` after boot the device's clock said `utc_us`, give or take `error_us`."""

    mono_us: int
    utc_us: int
    error_us: int
    source: int


def parse(data: bytes) -> Iterator[Event]:
    """Every event of a page. Raises FormatError where lengths contradict the type or the bytes at hand."""
    at = 0
    while at < len(data):
        if at + 2 > len(data):
            raise FormatError("an event is cut short")
        kind, length = data[at], data[at + 1]
        at += 2
        if length < _MONO_BYTES or at + length > len(data):
            raise FormatError("an event has a length that does not fit")
        payload = data[at + _MONO_BYTES : at + length]
        if len(payload) != _FIXED_BYTES.get(kind, len(payload)):
            raise FormatError(f"a {NAMES[kind]} event has the wrong length")
        event = Event(kind, _U64.unpack_from(data, at)[0], payload)
        if kind == META:
            meta(event)
        yield event
        at += length


def mark(event: Event) -> tuple[int, int]:
    """(kind, sample) of a MARK."""
    kind, sample = _MARK.unpack(event.data)
    return kind, sample


def sample(event: Event) -> int:
    """The sample number that a MUTED, UNMUTED, SILENT, HEARD or LOST event names."""
    (number,) = _U64.unpack_from(event.data)
    return int(number)


def lost(event: Event) -> tuple[int, int, int]:
    """(first sample, count, reason) of a LOST."""
    first, count, reason = _LOST.unpack(event.data)
    return first, count, reason


def clock(event: Event) -> Clock:
    """The anchor of a CLOCK."""
    utc_us, error_us, source = _CLOCK.unpack(event.data)
    return Clock(event.mono_us, utc_us, error_us, source)


def meta(event: Event) -> Meta:
    """The fields of a META. Raises FormatError if they do not fill it exactly."""
    if len(event.data) < _META.size:
        raise FormatError("a meta event is cut short")
    firmware_hash, boot_id, rate = _META.unpack_from(event.data)
    rest, texts = event.data[_META.size :], []
    while rest:
        if 1 + rest[0] > len(rest):
            raise FormatError("a meta event is cut short")
        texts.append(rest[1 : 1 + rest[0]].decode("utf-8", "replace"))
        rest = rest[1 + rest[0] :]
    if len(texts) < 3 or rate != _RATE:
        raise FormatError("a meta event is cut short or names another sample rate than 16 kHz")
    version, microphone, recorder, began = [*texts, ""][:4]
    return Meta(firmware_hash, boot_id, rate, version, microphone, recorder, began)
