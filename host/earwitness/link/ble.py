"""Bytes to and from a recorder over Bluetooth LE (LINK.md, "Bluetooth LE"), by the system's own stack.

Bluetooth lives in a thread of its own; the rest of the program waits for it as for a cable.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import threading
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from earwitness.errors import EarwitnessError, NoDeviceError
from earwitness.link.transport import GoneError

if TYPE_CHECKING:
    from bleak import BleakClient
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData

SERVICE: Final = "031c2973-20ab-4741-a4a4-3117fa3468cb"  # stands for version 1
TO_RECORDER: Final = "031c2974-20ab-4741-a4a4-3117fa3468cb"
TO_COMPUTER: Final = "031c2975-20ab-4741-a4a4-3117fa3468cb"

_CONFIRM_EVERY: Final = 32  # notifications, a quarter of the recorder's window
_LIFE_S: Final = 10.0  # and so often in any case: a recorder takes 30 s of silence for a program that is gone
_CONNECT_S: Final = 15.0
_CONNECT_TRIES: Final = 2  # the first may fail for reasons of the air
_PATIENCE_S: Final = 40.0  # for all of connecting
_CLOSE_S: Final = 5.0
_WRITE_S: Final = 10.0
_OTHERS_S: Final = 1.0  # after the first recorder was found, others may still be heard
_MOST_NEAR: Final = 64  # of what calls itself a recorder, the closest
_MOST_WAITING: Final = 1 << 20  # bytes that the program has not taken yet: a recorder sends a quarter of that at a time
_LEAST_ROOM: Final = 20  # bytes of a value: the smallest MTU there is leaves so many

_T = TypeVar("_T")

logging.getLogger("bleak").setLevel(logging.CRITICAL)  # what a person has to know, this module says


class BluetoothOffError(NoDeviceError):
    """This computer's Bluetooth is missing, off, or not for this program."""


@dataclass(frozen=True)
class Near:
    """A recorder in range. Its address is new each time that its radio goes on: it says nothing of which one it is."""

    address: str
    device: BLEDevice
    signal: int = 0  # dBm; the higher, the closer


class _Loop:
    """The thread that Bluetooth runs in, begun when first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def get(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._loop.is_closed():
                self._loop = asyncio.new_event_loop()
                self._loop.set_exception_handler(lambda *_: None)  # of libraries: what a person has to know, we say
                threading.Thread(target=self._loop.run_forever, name="bluetooth", daemon=True).start()
            return self._loop

    def run(self, work: Coroutine[Any, Any, _T], timeout: float) -> _T:
        """Do it there and wait. Raises TimeoutError."""
        future = asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, timeout), self.get())
        try:
            return future.result()
        except concurrent.futures.CancelledError as error:
            raise TimeoutError from error
        except BaseException:
            future.cancel()
            raise


_loop = _Loop()


def _off(error: Exception) -> BluetoothOffError:
    """What is wrong with this computer's Bluetooth, in a sentence."""
    from bleak.exc import BleakBluetoothNotAvailableError, BleakBluetoothNotAvailableReason

    cable = "Or sync over the cable."
    if isinstance(error, BleakBluetoothNotAvailableError):
        reason = error.reason
        kinds = BleakBluetoothNotAvailableReason
        if reason in (kinds.NO_BLUETOOTH, kinds.NO_BLE_CENTRAL_ROLE):
            return BluetoothOffError("This computer has no Bluetooth adapter.", f"Plug one in. {cable}")
        if reason == kinds.POWERED_OFF:
            return BluetoothOffError("Bluetooth is off on this computer.", f"Turn it on and try again. {cable}")
        return BluetoothOffError(
            "This program may not use Bluetooth.", f"Allow it in the system's privacy settings. {cable}"
        )
    text = str(error)
    if ("adapter" in text and "not found" in text) or "UnknownObject" in text:  # pulled out just now
        return BluetoothOffError("This computer has no Bluetooth adapter.", f"Plug one in. {cable}")
    if "NotReady" in text:
        return BluetoothOffError("Bluetooth is off on this computer.", f"Turn it on and try again. {cable}")
    if "AccessDenied" in text or "NotAuthorized" in text:
        join = "Join the group that may (sudo usermod -a -G bluetooth $USER), then log out and in again."
        return BluetoothOffError("You may not use Bluetooth on this computer.", f"{join} {cable}")
    return BluetoothOffError(
        "Bluetooth does not run on this computer.", f"Start it (sudo systemctl start bluetooth) and try again. {cable}"
    )


def find(timeout: float, stop: threading.Event | None = None) -> list[Near]:
    """Recorders in range, whoever's, the closest first: as soon as one is heard, and a second more for others. Empty after
    `timeout` seconds, or when `stop` is set. Raises BluetoothOffError."""
    from bleak.exc import BleakError

    try:
        found = _loop.run(_find(timeout, stop), timeout + _CONNECT_S)
        return sorted(found, key=lambda near: -near.signal)[:_MOST_NEAR]
    except (BleakError, OSError, EOFError) as error:
        raise _off(error) from error


async def _find(timeout: float, stop: threading.Event | None) -> list[Near]:
    from bleak import BleakScanner

    found = {near.address: near for near in await _left_connected()}
    heard = asyncio.Event()

    def take(device: BLEDevice, data: AdvertisementData) -> None:
        found[device.address] = Near(device.address, device, data.rssi)
        heard.set()

    if found:
        return list(found.values())
    async with BleakScanner(take, service_uuids=[SERVICE]):
        until = time.monotonic() + timeout
        while not heard.is_set() and time.monotonic() < until and not (stop and stop.is_set()):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(heard.wait(), min(0.25, timeout))
        if found:
            await asyncio.sleep(_OTHERS_S)
    return list(found.values())


async def _left_connected() -> list[Near]:
    """Recorders that the system still holds connected though the program that asked for it is gone: they are not heard."""
    try:
        from bleak import BleakAdapter
    except ImportError:  # older ones cannot tell
        return []
    try:
        adapter = await BleakAdapter.get()
        return [Near(device.address, device) for device in await adapter.get_connected_devices([SERVICE])]
    except NotImplementedError:
        return []


def _gone() -> GoneError:
    return GoneError(
        "The recorder went out of range, or its radio went off.",
        "Press its button, stay near, and run the same again: it resumes.",
    )


class BleTransport:
    """A connection to one recorder, for this program alone. Connecting takes at most `patience` seconds."""

    def __init__(self, near: Near, patience: float = _PATIENCE_S) -> None:
        from bleak.exc import BleakError

        self.name = "Bluetooth"
        self._near = near
        self._client: BleakClient | None = None
        self._ready = threading.Condition()
        self._received: list[bytes] = []
        self._waiting = 0  # bytes of them
        self._lost = False
        self._closing = False
        self._last = 0  # number of the last notification
        self._unconfirmed = 0
        self._room = _LEAST_ROOM
        self._tasks: set[asyncio.Task[None]] = set()
        end = time.monotonic() + patience
        for tries_left in reversed(range(_CONNECT_TRIES)):
            try:
                _loop.run(self._connect(), min(_CONNECT_S + 1, max(end - time.monotonic(), 0)))
                return
            except (BleakError, OSError, EOFError, KeyError, AssertionError) as error:
                with contextlib.suppress(BleakError, OSError, EOFError, AssertionError):
                    _loop.run(self._disconnect(), _CLOSE_S)
                if not tries_left or time.monotonic() >= end:
                    raise NoDeviceError(
                        "The recorder was heard, but does not answer.", "Press its button, stay near, and try again."
                    ) from error

    async def _connect(self) -> None:
        from bleak import BleakClient

        self._lost = False
        client = BleakClient(self._near.device, disconnected_callback=self._on_lost, timeout=_CONNECT_S)
        self._client = client
        await client.connect()
        # BlueZ hands a pipe over where it is asked for one, which costs less than a D-Bus signal for every packet
        await client.start_notify(TO_COMPUTER, self._on_data, bluez={"use_start_notify": False})
        characteristic = client.services.get_characteristic(TO_RECORDER)
        assert characteristic is not None
        self._room = max(characteristic.max_write_without_response_size, _LEAST_ROOM)
        self._start(self._live())

    # --- in Bluetooth's thread

    def _on_lost(self, _client: object) -> None:
        # Bleak lets whoever waits for something wait on: this is how one learns that it will not come
        with self._ready:
            self._lost = True
            self._ready.notify_all()

    def _on_data(self, _sender: object, data: bytearray) -> None:
        if not data:
            return
        with self._ready:
            self._last = data[0]
            # What nobody takes is lost as in the air: it is asked for again
            if len(data) > 1 and self._waiting + len(data) <= _MOST_WAITING:
                self._received.append(bytes(data[1:]))
                self._waiting += len(data)
            self._ready.notify_all()
        self._unconfirmed += 1
        if self._unconfirmed >= _CONFIRM_EVERY:
            self._unconfirmed = 0
            self._start(self._confirm())

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _live(self) -> None:
        while not self._lost and not self._closing:
            await asyncio.sleep(_LIFE_S)
            await self._confirm()

    async def _confirm(self) -> None:
        from bleak.exc import BleakError

        with contextlib.suppress(BleakError, OSError, AssertionError):
            await self._put(b"")

    async def _put(self, data: bytes) -> None:
        client = self._client
        if client is None or self._lost:
            raise OSError("not connected")
        await client.write_gatt_char(TO_RECORDER, bytes((self._last,)) + data, response=False)

    async def _put_all(self, data: bytes) -> None:
        step = self._room - 1
        for at in range(0, len(data), step):
            await self._put(data[at : at + step])

    async def _disconnect(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        if self._client is not None:
            await self._client.disconnect()

    # --- in the program's

    def read(self, timeout: float) -> bytes:
        """What is there; waits for at most `timeout` seconds. Raises NoDeviceError when the connection is lost."""
        with self._ready:
            self._ready.wait_for(lambda: self._received or self._lost, max(timeout, 0))
            data = b"".join(self._received)
            self._received.clear()
            self._waiting = 0
            if not data and self._lost:
                raise _gone()
        return data

    def write(self, data: bytes) -> None:
        """Send all of it. Raises NoDeviceError when the connection is lost."""
        from bleak.exc import BleakError

        try:
            _loop.run(self._put_all(data), _WRITE_S)
        except (BleakError, OSError, EOFError, AssertionError) as error:
            raise _gone() from error

    def close(self) -> None:
        """End the connection."""
        if self._closing:
            return
        self._closing = True
        from bleak.exc import BleakError

        with contextlib.suppress(BleakError, OSError, EOFError, AssertionError, EarwitnessError):
            _loop.run(self._disconnect(), _CLOSE_S)
