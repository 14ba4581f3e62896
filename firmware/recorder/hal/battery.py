"""The battery: by the MAX17048 fuel gauge where there is one, else by the cell's voltage.

While recording the gauge is read in two bytes at a time here: the driver that found it (gauge.py) would take memory that
recording needs.
"""

from machine import ADC, Pin
from micropython import const

from recorder.hal import pins
from recorder.hal.i2c import open_bus

_GAUGE = const(0x36)
_VOLTAGE = const(0x02)  # 78.125 µV a step
_CHARGE = const(0x04)  # 1/256 % a step
_RATE = const(0x16)  # 0.208 % an hour a step, signed, falling below 0
_NO_CELL_MV = const(2500)  # nothing that runs this board reads less: there is no divider
_LASTING_MV = const(3400)  # above it a gauge that says 0 % has not learned the cell yet
_FULL_MINUTES = const(1200)  # estimate for 500 mAh

# A lithium cell under a small load: millivolts, percent left. Coarse; the recorder stops by the voltage.
_CURVE = ((3300, 0), (3450, 5), (3600, 15), (3700, 30), (3800, 50), (3950, 75), (4150, 100))

_cable = Pin(pins.USB_POWER, Pin.IN)
_cell = ADC(Pin(pins.BATTERY))
_word = bytearray(2)
_gauge: "bool | None" = None


def _has_gauge() -> bool:
    global _gauge
    if _gauge is None:
        from recorder.hal import gauge

        _gauge = gauge.find()
    return _gauge


def _read(register: int) -> int:
    """Raises OSError."""
    open_bus().readfrom_mem_into(_GAUGE, register, _word)
    return _word[0] << 8 | _word[1]


def millivolts() -> int:
    if _has_gauge():
        try:
            return _read(_VOLTAGE) * 5 // 64
        except OSError:
            return 0
    total = 0
    for _ in range(8):
        total += _cell.read_u16()
    value = total * 825 // 65535  # eight readings over a halving divider, 3300 mV full scale
    return value if value >= _NO_CELL_MV else 0


def minutes_left() -> int:
    if usb_power():
        return -1
    value = millivolts()
    if not value:
        return -1
    if not _gauge:
        return _by_voltage(value)
    try:
        charge, rate = _read(_CHARGE), _read(_RATE)
    except OSError:
        return -1
    # Both in 1/256 %: what is left, and what an hour takes, at least as much as a recording does.
    fall = (65536 - rate) * 213 // 4 if rate >= 32768 else 0
    hourly = max(fall, 25600 * 60 // _FULL_MINUTES)
    minutes = charge * 60 // hourly
    return max(minutes, 1) if value > _LASTING_MV else minutes


def _by_voltage(value: int) -> int:
    low_mv, low = _CURVE[0]
    if value <= low_mv:
        return 0
    for high_mv, high in _CURVE:
        if value <= high_mv:
            percent = low + (value - low_mv) * (high - low) // (high_mv - low_mv)
            return max(1, percent * _FULL_MINUTES // 100)
        low_mv, low = high_mv, high
    return _FULL_MINUTES


def usb_power() -> bool:
    return bool(_cable.value())
