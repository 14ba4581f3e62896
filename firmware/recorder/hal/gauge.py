"""Is there a fuel gauge? Asked by Adafruit's driver, which also wakes it. Idle set; battery.py reads the gauge itself."""

from micropython import const

from recorder.hal.drivers import Bus, load

_ADDRESS = const(0x36)


def find() -> bool:
    """Takes 0.2 s if there is one: the driver waits for a reset that the bus keeps from it (drivers.py)."""
    try:
        load("adafruit_max1704x", _ADDRESS).MAX17048(Bus())
    except (ImportError, OSError, RuntimeError, ValueError):
        return False
    return True
