"""What the RP2040 and the Pico W can do, from their data sheets. GPIO numbers are the chip's, pads the board's 1 to 40."""

from __future__ import annotations

# RP2040 datasheet, 2.19.2: which SPI and I2C block, and which of its signals, each GPIO can carry. Both repeat.
_SPI = ("RX", "CSn", "SCK", "TX")
_I2C = ("SDA", "SCL")

# Pico W datasheet, pinout. GPIO 23, 24, 25 and 29 belong to the radio and are on no pad.
PADS = {
    **dict(enumerate((1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15, 16, 17, 19, 20))),
    **{16: 21, 17: 22, 18: 24, 19: 25, 20: 26, 21: 27, 22: 29, 26: 31, 27: 32, 28: 34},
}
NAMED_PADS = {
    "VBUS": 40,
    "VSYS": 39,
    "3V3_EN": 37,
    "3V3": 36,
    "ADC_VREF": 35,
    "AGND": 33,
    "RUN": 30,
    **{f"GND{pad}": pad for pad in (3, 8, 13, 18, 23, 28, 38)},
}
RADIO = frozenset({23, 24, 25, 29})
ADC = frozenset({26, 27, 28})


def spi(gpio: int) -> tuple[int, str]:
    """(block, signal) of SPI on this GPIO."""
    return gpio // 8 % 2, _SPI[gpio % 4]


def i2c(gpio: int) -> tuple[int, str]:
    """(block, signal) of I2C on this GPIO."""
    return gpio // 2 % 2, _I2C[gpio % 2]


def pwm(gpio: int) -> tuple[int, str]:
    """(slice, channel) of PWM on this GPIO: two pins with the same answer cannot differ in brightness."""
    return gpio // 2 % 8, "AB"[gpio % 2]
