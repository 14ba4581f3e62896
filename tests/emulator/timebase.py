"""Time of the emulated board, true at every clock the firmware chooses.

The emulator takes each cycle for 8 ns, as if the chip always ran at 125 MHz. Here the PLLs and the clock registers say what it
really runs at, and the microsecond timer, the watchdog and every part on the board count in the seconds that follow: at
64 MHz a cycle lasts 15.6 ns, so the same work takes 1.95 times as long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rp2040py.peripherals.peripheral import BasePeripheral
from rp2040py.peripherals.timer import ALARM0, ALARM_REGS, RPTimer

_EMULATED_HZ = 125_000_000
_CRYSTAL_HZ = 12_000_000

_CLOCKS = 0x40008
_PLL_SYS = 0x40028
_PLL_USB = 0x4002C
_TIMER = 0x40054

_PLL_LOCKED = 1 << 31
_PLL_CS, _PLL_PWR, _PLL_FBDIV, _PLL_PRIM = 0x0, 0x4, 0x8, 0xC
_WATCHDOG_HZ = 2_000_000  # it counts twice a microsecond


class Pll(BasePeripheral):
    """A PLL that locks at once and remembers what it was told."""

    def __init__(self, rp2040: Any, name: str, changed: Callable[[], None]) -> None:
        super().__init__(rp2040, name)
        self._registers = {_PLL_CS: 1, _PLL_PWR: 0x2D, _PLL_FBDIV: 0, _PLL_PRIM: 0x77000}
        self._changed = changed

    def read_uint32(self, offset: int) -> int:
        value = self._registers.get(offset, 0)
        return value | _PLL_LOCKED if offset == _PLL_CS else value

    def write_uint32(self, offset: int, value: int) -> None:
        self._registers[offset] = value & ~_PLL_LOCKED if offset == _PLL_CS else value
        self._changed()

    @property
    def hz(self) -> float:
        """Its output, 0 before it was set."""
        refdiv = self._registers[_PLL_CS] & 0x3F
        prim = self._registers[_PLL_PRIM]
        dividers = refdiv * (prim >> 16 & 7) * (prim >> 12 & 7)
        return _CRYSTAL_HZ * self._registers[_PLL_FBDIV] / dividers if dividers else 0


class Alarm:
    """Something that happens once, so many seconds from now."""

    def __init__(self, time: Timebase, callback: Callable[[], None]) -> None:
        self._time = time
        self._callback = callback
        self._alarm = time.clock.create_alarm(self._fire)
        self._due: float | None = None

    def after(self, seconds: float) -> None:
        self._due = self._time.seconds + seconds
        self._time.armed.add(self)
        self._alarm.schedule(seconds * self._time.nanos_per_second)

    def cancel(self) -> None:
        self._due = None
        self._time.armed.discard(self)
        self._alarm.cancel()

    def rescale(self) -> None:
        assert self._due is not None
        self._alarm.schedule(max(0.0, self._due - self._time.seconds) * self._time.nanos_per_second)

    def _fire(self) -> None:
        self._due = None
        self._time.armed.discard(self)
        self._callback()


class _Timer(RPTimer):  # type: ignore[misc]
    """The microsecond timer, counting in the timebase's seconds."""

    def __init__(self, rp2040: Any, time: Timebase) -> None:
        self._time = time
        self._epoch = time.seconds
        super().__init__(rp2040, "TIMER_BASE")
        for index, alarm in enumerate(self.alarms):
            alarm.clock_alarm = _ClockAlarm(time, lambda index=index: self._fire_alarm(index))

    def _micros(self) -> float:
        return (self._time.seconds - self._epoch) * 1e6

    def reset(self) -> None:
        super().reset()
        self._epoch = self._time.seconds

    def skip(self, seconds: float) -> None:
        self._epoch -= seconds

    def write_uint32(self, offset: int, value: int) -> None:
        if offset in ALARM_REGS:
            alarm = self.alarms[(offset - ALARM0) // 4]
            alarm.armed = True
            alarm.target_micros = value
            left = (value - int(self._micros())) & 0xFFFFFFFF
            alarm.clock_alarm.schedule(left * 1000)
        else:
            super().write_uint32(offset, value)


class _ClockAlarm:
    """An Alarm with the methods that the emulator's timer calls."""

    def __init__(self, time: Timebase, callback: Callable[[], None]) -> None:
        self._alarm = Alarm(time, callback)

    def schedule(self, nanos: float) -> None:
        self._alarm.after(nanos / 1e9)

    def cancel(self) -> None:
        self._alarm.cancel()


class Timebase:
    """`seconds` since power came, `alarm(callback)`, and the clocks as the firmware set them."""

    def __init__(self, mcu: Any) -> None:
        self.clock = mcu.clock
        self.armed: set[Alarm] = set()
        self.sys_hz: float = _EMULATED_HZ
        self.peri_hz: float = _EMULATED_HZ
        self._mcu = mcu
        self._seconds = 0.0
        self._nanos = self.clock.nanos
        self._pll_sys = mcu.peripherals[_PLL_SYS] = Pll(mcu, "PLL_SYS", self._changed)
        self._pll_usb = mcu.peripherals[_PLL_USB] = Pll(mcu, "PLL_USB", self._changed)
        clocks = mcu.peripherals[_CLOCKS]
        plain_write = clocks.write_uint32

        def write(offset: int, value: int) -> None:
            plain_write(offset, value)
            self._changed()

        clocks.write_uint32 = write
        mcu.timer = mcu.peripherals[_TIMER] = _Timer(mcu, self)

    @property
    def nanos_per_second(self) -> float:
        """Of the emulator's clock."""
        return self.sys_hz * 1e9 / _EMULATED_HZ

    @property
    def seconds(self) -> float:
        return self._seconds + (self.clock.nanos - self._nanos) / self.nanos_per_second

    def skip(self, seconds: float) -> None:
        """The chip's microsecond timer goes on by so much at once, as after a long time in which nothing else happened."""
        self._mcu.timer.skip(seconds)

    def alarm(self, callback: Callable[[], None]) -> Alarm:
        return Alarm(self, callback)

    def _changed(self) -> None:
        clocks = self._mcu.clocks
        plls = (self._pll_sys.hz, self._pll_usb.hz)
        if clocks.sys_ctrl & 1 and clocks.sys_ctrl >> 5 & 7 < 2 and plls[clocks.sys_ctrl >> 5 & 7]:
            sys_hz = plls[clocks.sys_ctrl >> 5 & 7] / (clocks.sys_div / 256 or 1)
        else:
            sys_hz = _EMULATED_HZ  # the first milliseconds, and the moments of changing over
        source = clocks.peri_ctrl >> 5 & 7
        self.peri_hz = (sys_hz, *plls, 6_500_000, _CRYSTAL_HZ)[source] or sys_hz
        if sys_hz != self.sys_hz:
            self._seconds, self._nanos = self.seconds, self.clock.nanos
            self.sys_hz = sys_hz
            self._mcu.watchdog.timer.frequency = _WATCHDOG_HZ * _EMULATED_HZ / sys_hz
            for alarm in list(self.armed):
                alarm.rescale()
