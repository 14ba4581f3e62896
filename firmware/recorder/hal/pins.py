"""Pins of the board: GPIO numbers, and the blocks that serve them.

Made by tools/hardware.py from hardware/device.toml: change that one.
"""

from micropython import const

CARD_SPI = const(0)  # block
I2C = const(0)  # block
MIC_CLOCK = const(10)  # bit clock, out
MIC_WORD_SELECT = const(11)  # word select, out: the state machine sets it with the clock, so it is the next pin
MIC_DATA = const(12)  # data, in
CARD_CLOCK = const(18)  # clock, out
CARD_MOSI = const(19)  # data to the card, out
CARD_MISO = const(16)  # data from the card, in
CARD_SELECT = const(17)  # chip select, out; low = chosen
CARD_DETECT = const(20)  # switch in the socket to ground, pull-up; which level means a card differs between sockets
I2C_DATA = const(4)  # DS3231 at 0x68, MAX17048 at 0x36
I2C_CLOCK = const(5)
SWITCH = const(14)  # slide switch to ground, pull-up; low = record
BUTTON = const(15)  # mark button to ground, pull-up; low = pressed
LIGHT = const(13)  # LED, out; high = on
MOTOR = const(21)  # vibration motor through a transistor, out; high = on
USB_POWER = const(22)  # VBUS over a 2:1 divider, in; high = cable. No pull: it would spoil the divider
BATTERY = const(28)  # VSYS over a 100k/100k divider, in: half of the cell's voltage, without a cable
