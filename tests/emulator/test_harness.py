"""The emulated board is what the others take it for: its clocks, buses, parts and cable, seen by small programs at its prompt."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from emulator.pins import PINS

if TYPE_CHECKING:
    from emulator.board import Board

pytestmark = pytest.mark.long


@pytest.fixture
def board(make_board: Callable[..., Board]) -> Board:
    board = make_board(files={"hello.py": b"print('hello')"}, sound=lambda k: (k * 7919 & 0xFFFF) - 0x8000)
    board.boot()
    return board


def test_it_boots_mounts_the_file_system_and_runs_what_lies_there(board: Board) -> None:
    assert (
        board.execute("import hello, sys; print(sys.implementation[2])")
        == "hello\r\nRaspberry Pi Pico W with RP2040\r\n"
    )


def test_work_takes_longer_at_a_slower_clock_and_a_second_stays_a_second(board: Board) -> None:
    took = {}
    for mhz in (125, 64, 48):
        text = board.execute(f"""
import machine, time
machine.freq({mhz}_000_000)
began = time.ticks_us()
for _ in range(500): pass
worked = time.ticks_us() - began
time.sleep(2)
print(worked, time.ticks_us() - began - worked)
""")
        took[mhz], slept = map(int, text.split())
        assert slept == pytest.approx(2_000_000, abs=500)
        assert board.time.sys_hz == mhz * 1_000_000
    assert took[64] == pytest.approx(took[125] * 125 / 64, rel=0.1)
    assert took[48] == pytest.approx(took[125] * 125 / 48, rel=0.1)


def test_spi_takes_its_clocks_from_48_mhz(board: Board) -> None:
    text = board.execute(f"""
import machine, time
pin = machine.Pin
spi = machine.SPI(0, baudrate=24_000_000, sck=pin({PINS["CARD_CLOCK"]}), mosi=pin({PINS["CARD_MOSI"]}), miso=pin({PINS["CARD_MISO"]}))
data = bytearray(4096)
began = time.ticks_us()
spi.readinto(data, 0xFF)
print(time.ticks_us() - began, data.count(b"\\xff"))
""")
    took, high = map(int, text.split())
    assert 1365 <= took <= 1500  # 4096 bytes of 8 bits at 24 MHz, and the call
    assert high == 4096  # no card: the line is pulled up
    assert board.spi.hz == 24_000_000


def test_the_clock_chip_and_the_gauge_answer_and_one_that_is_not_there_does_not(board: Board) -> None:
    board.clock_chip.lose_power()
    board.gauge.volts = 3.75
    reads = board.execute(f"""
import machine
i2c = machine.I2C(0, sda=machine.Pin({PINS["I2C_DATA"]}), scl=machine.Pin({PINS["I2C_CLOCK"]}), freq=400_000)
i2c.writeto_mem(0x68, 0, bytes([0x56, 0x34, 0x12, 1, 0x17, 0x05, 0x26]))
i2c.writeto_mem(0x68, 0x0F, b"\\x08")
print(i2c.readfrom_mem(0x68, 0, 7).hex(), i2c.readfrom_mem(0x68, 0x0F, 1).hex())
print(int.from_bytes(i2c.readfrom_mem(0x36, 2, 2), "big") * 78.125e-6)
try:
    i2c.readfrom(0x50, 1)
except OSError as error:
    print(error.errno)
""")
    time, volts, errno = reads.splitlines()
    assert time == "563412" + "07170526" + " 00"
    assert float(volts) == pytest.approx(3.75, abs=0.001)
    assert errno == "5"
    assert not board.clock_chip.stopped


def test_light_motor_switch_button_and_cell(board: Board) -> None:
    board.person.switch(True)
    board.cell_volts = 3.6
    text = board.execute(f"""
import machine, time
pin = machine.Pin
light = machine.PWM(pin({PINS["LIGHT"]}), freq=1000, duty_u16=0x4000)
motor = pin({PINS["MOTOR"]}, pin.OUT)
motor(1); time.sleep_ms(120); motor(0)
light.duty_u16(0)
print(pin({PINS["SWITCH"]}, pin.IN, pin.PULL_UP)(), pin({PINS["BUTTON"]}, pin.IN, pin.PULL_UP)())
print(machine.ADC({PINS["BATTERY"]}).read_u16() * 2 * 3.3 / 65535)
""")
    switch, button, volts = text.split()
    assert (switch, button) == ("0", "1")
    assert float(volts) == pytest.approx(3.6, abs=0.01)
    assert [change.value for change in board.person.lights] == [64, 0]
    ((_, length),) = board.person.pulses
    assert length == pytest.approx(0.12, abs=0.002)


def test_a_host_that_stops_reading_holds_the_board_and_then_gets_the_rest(board: Board) -> None:
    board.execute("import sys, select")
    board.cable.reading = False
    board.cable.send(b"print('x' * 300)\x04")
    board.run(0.2)
    assert b"x" * 300 not in board.cable.sent
    board.cable.reading = True
    board.run(0.2)
    assert b"x" * 300 in board.cable.sent


def test_a_watchdog_that_is_not_fed_bites(board: Board) -> None:
    board.cable.send(b"import machine; machine.WDT(timeout=800)\r")
    board.run_until(lambda: board.resets, 3, "the watchdog")
    ((at, cause),) = board.resets
    assert cause == "watchdog"
    board.run_until(lambda: board.cable.connected, 2, "the board again")
    assert at > 0.8


def test_flash_that_was_written_outlives_the_power(board: Board, make_board: Callable[..., Board]) -> None:
    board.execute("with open('kept', 'w') as file: file.write('here')")
    board.cut_power()
    again = make_board(flash=board.flash)
    again.boot()
    assert again.execute("print(open('kept').read())") == "here\r\n"
