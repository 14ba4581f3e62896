"""Which recorder is meant, of all that answer. A recorder tells a stranger nothing, so every one is asked with every secret."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from earwitness.devices import DeviceRecord, DeviceStore
from earwitness.errors import EarwitnessError, KeyMissingError, NoDeviceError, UsageError
from earwitness.link.client import DeniedError, LinkLostError, Recorder
from earwitness.link.transport import GoneError, Transport

_KEY_DIGITS: Final = 6
_LEAST_S: Final = 8.0  # for each, however many there are: less would not do for one that is there


@dataclass(frozen=True)
class Place:
    """Where a recorder may answer. `open` gets how many seconds it may take."""

    name: str
    open: Callable[[float], Transport]


@dataclass(frozen=True)
class Way:
    """How recorders are reached here, in words."""

    there: str  # "plugged in"
    bring: str  # what to do so that another one answers
    silent: tuple[str, str] | None = (
        None  # of what answers nothing: what is said, if not what a cable wants, and what to do
    )
    has_ports: bool = False
    tries: int = 1  # for each: a connection may be lost as it begins


def the_one(
    places: Sequence[Place],
    store: DeviceStore,
    which: str | None,
    way: Way,
    *,
    timeout: float,
    tries: int,
    patience: float,
) -> tuple[Recorder, DeviceRecord]:
    """A session with the one paired recorder among `places`, which are asked in this order.

    `which`: its name or the start of its short key. `timeout` seconds for an answer, `patience` for all of them together,
    whatever is sent meanwhile. Raises NoDeviceError, DeviceBusyError, KeyMissingError (none of ours, or not that one),
    UsageError (several of ours: name one).
    """
    records = store.active() if which is None else [named(store, which)]
    end = time.monotonic() + patience
    found: list[tuple[Recorder, DeviceRecord]] = []
    failure: EarwitnessError | None = None
    asked = 0
    try:
        for place in places:
            left = end - time.monotonic()
            if left <= 0 or (records and len(found) == len(records)):
                break
            share = max(_LEAST_S, left / (len(places) - asked))
            asked += 1
            try:
                found.append(_reach(place, records, which, way, share, timeout, tries))
                end = min(end, time.monotonic() + _LEAST_S)  # another of ours would be as easy to find
            except EarwitnessError as error:
                if failure is None or isinstance(failure, LinkLostError):  # silence tells least
                    failure = error
        if len(found) > 1:
            raise _several(found, way)
    except BaseException:
        for recorder, _ in found:
            recorder.close()
        raise
    if found:
        return found[0]
    assert failure is not None
    if asked < len(places):
        raise NoDeviceError(
            f"{len(places)} things that call themselves recorders are {way.there}, and none of the {asked} that there was"
            " time to ask is yours.",
            way.bring,
        )
    raise failure


def _several(found: Sequence[tuple[Recorder, DeviceRecord]], way: Way) -> UsageError:
    names = [record.name for _, record in found]
    words = []
    for recorder, record in found:
        which = f", key {record.short_key[:_KEY_DIGITS]}" if names.count(record.name) > 1 else ""
        at = f" (at {recorder.name})" if way.has_ports else ""
        words.append(f"{record.name}{which}{at}")
    hint = "Name one with --recorder, by its name or the start of its key."
    return UsageError(f"More than one of your recorders is {way.there}: {'; '.join(words)}.", hint)


def named(store: DeviceStore, text: str) -> DeviceRecord:
    """The paired recorder with this name, or whose short key begins so. Raises UsageError."""
    active = store.active()
    found = [record for record in active if record.name == text] or [
        record for record in active if record.short_key.startswith(text)
    ]
    if len(found) != 1:
        raise UsageError(
            f"There is no recorder {text}." if not found else f"{text} could be {len(found)} recorders.",
            "'earwitness devices' lists them, each with the key that tells it from the others.",
        )
    return found[0]


def _reach(
    place: Place,
    records: Sequence[DeviceRecord],
    which: str | None,
    way: Way,
    patience: float,
    timeout: float,
    tries: int,
) -> tuple[Recorder, DeviceRecord]:
    """As `_open`; a connection that is lost as it begins is made again, as often as is usual here."""
    end = time.monotonic() + patience
    for _ in range(way.tries - 1):
        with contextlib.suppress(GoneError):
            return _open(place, records, which, way, end - time.monotonic(), timeout, tries)
    return _open(place, records, which, way, max(end - time.monotonic(), 0), timeout, tries)


def _open(
    place: Place,
    records: Sequence[DeviceRecord],
    which: str | None,
    way: Way,
    patience: float,
    timeout: float,
    tries: int,
) -> tuple[Recorder, DeviceRecord]:
    end = time.monotonic() + patience
    recorder = Recorder(place.open(patience), timeout=timeout, tries=tries)
    try:
        recorder.until = end
        recorder.hello()
        for record in records:
            try:
                recorder.authenticate(record.secret, record.public)
            except DeniedError:
                continue
            recorder.until = None
            return recorder, record
        if which is not None:
            raise KeyMissingError(f"The recorder that is {way.there} is not {records[0].name}.", way.bring)
        raise KeyMissingError(
            f"The recorder that is {way.there} is not paired with this computer.",
            "If it is new, pair it over the cable: 'earwitness pair'. If it belongs to another computer, use that one or"
            " read its card.",
        )
    except LinkLostError as error:
        recorder.close()
        if way.silent is None:
            raise
        raise LinkLostError(*way.silent) from error
    except BaseException:
        recorder.close()
        raise
