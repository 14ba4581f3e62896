"""Bluetooth LE: the chip's own module on a stand-in for `bluetooth` (tools/virtual/ble). Without a virtual radio nothing is near."""

import sys

import world

_chip = None


def _here() -> str:
    return __file__.rsplit("/", 1)[0] if "/" in __file__ else "."


def boot() -> None:
    global _chip
    if world.config.get("ble") and _chip is None:
        stand_in = _here() + "/../ble/device"
        chip = _here() + "/../../../firmware/recorder/hal"
        sys.path[:0] = [stand_in, chip]
        import bluetooth

        bluetooth.path = world.config["ble"]
        bluetooth.on_socket = world.watch
        bluetooth.on_connection = world.set_near
        import ble

        _chip = ble
        sys.path[:2] = []


def advertise(on: bool) -> None:
    boot()
    if _chip is not None:
        _chip.advertise(on)


def accept() -> bool:
    return _chip is not None and _chip.accept()


def is_connected() -> bool:
    return _chip is not None and _chip.is_connected()


def quiet_ms() -> int:
    return _chip.quiet_ms() if _chip is not None else 0


def read(into: bytearray) -> int:
    return _chip.read(into) if _chip is not None else 0


def write(data: bytes | bytearray | memoryview) -> int:
    return _chip.write(data) if _chip is not None else 0


def hang_up() -> None:
    if _chip is not None:
        _chip.hang_up()


def off() -> None:
    if _chip is not None:
        _chip.off()
