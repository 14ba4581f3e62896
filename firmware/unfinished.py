"""A device whose installation is not finished says so: its light flickers as after a failed self-test, and it can be installed again.

Nothing of the recorder is imported here, for it is the recorder that may be missing.
"""

import micropython
from micropython import const

_LIGHT = const(13)  # as in recorder/hal/pins.py; a test compares them
_FLICKER_HZ = const(8)
_CONTROL_C = const(3)


def tell() -> None:
    """Let the light flicker by itself and give the prompt back."""
    try:
        from machine import PWM, Pin

        PWM(Pin(_LIGHT), freq=_FLICKER_HZ, duty_u16=32768)
    except ImportError:  # not on the chip
        pass
    print("earwitness: the firmware is not installed, or not all of it: run 'earwitness install'")
    micropython.kbd_intr(_CONTROL_C)
