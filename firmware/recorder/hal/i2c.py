"""The I2C bus of clock chip and fuel gauge."""

from machine import I2C, Pin
from micropython import const

from recorder.hal import pins

_HZ = const(100_000)  # 51 to 195 kHz if the clock speed changes after; both chips take 400


def open_bus() -> I2C:
    """The bus, set up for the clock speed at hand. It is one object for all; making it anew costs no memory."""
    return I2C(pins.I2C, sda=Pin(pins.I2C_DATA), scl=Pin(pins.I2C_CLOCK), freq=_HZ)
