"""Clock speed, watchdog, reset, radio. What must outlive a reset is kept in the watchdog's scratch registers 0 and 1."""

import machine
from machine import WDT, Pin
from micropython import const

_FULL_HZ = const(125_000_000)
_RECORDING_HZ = const(64_000_000)
_RESTING_HZ = const(48_000_000)  # the least at which USB works, RP2040 datasheet 4.1.1.1
_WATCHDOG_MS = const(8000)  # it can count to 8388
_RADIO_ON = const(23)  # WL_REG_ON of the CYW43, high = on

# Fault codes
_CRASHED = const(1)
_BITTEN = const(2)  # the watchdog reset the recorder
_NO_MEMORY = const(3)

_SCRATCH = const(0x4005800C)  # RP2040 datasheet 4.7.6: the boot ROM and MicroPython use 4 to 7 only
_GUARDED = const(0x0EA2)  # in scratch 1 while the watchdog watches: a reset then is its doing

_watchdog: "WDT | None" = None


def version() -> "tuple[bytes, str]":
    import bundle

    return bundle.version()


def fast(on: bool) -> None:
    _run_at(_FULL_HZ if on else _RECORDING_HZ)


def rest() -> None:
    _run_at(_RESTING_HZ)


def _run_at(hz: int) -> None:
    """SPI keeps its clock, made from the USB's 48 MHz; I2C is set up at each use (i2c.py), the microphone when it starts;
    the light's PWM goes slower, which nobody sees."""
    if machine.freq() != hz:
        machine.freq(hz)


def radio_off() -> None:
    Pin(_RADIO_ON, Pin.OUT, value=0)  # without the network module, which would take memory and start it


def radio_is_off() -> bool:
    return not Pin(_RADIO_ON).value()


def feed() -> None:
    global _watchdog
    if _watchdog is None:
        _watchdog = WDT(timeout=_WATCHDOG_MS)
        machine.mem32[_SCRATCH + 4] = _GUARDED
    _watchdog.feed()


def came_on() -> bool:
    return machine.reset_cause() == machine.PWRON_RESET


def note_fault(code: int) -> None:
    machine.mem32[_SCRATCH] = code


def close_files() -> None:
    """Nothing is read from MicroPython's file system any more, and its buffers take 2.5 KB."""
    import vfs

    vfs.umount("/")


def crashed(error: Exception) -> None:
    note_fault(_NO_MEMORY if isinstance(error, MemoryError) else _CRASHED)


def last_fault() -> int:
    code = machine.mem32[_SCRATCH]
    if not code and machine.mem32[_SCRATCH + 4] == _GUARDED and _watchdog is None:
        code = _BITTEN
    machine.mem32[_SCRATCH] = machine.mem32[_SCRATCH + 4] = 0
    return code


def reset() -> None:
    machine.mem32[_SCRATCH + 4] = 0
    machine.reset()
