"""Runs before main.py: from the first statement on, a byte 0x03 from the cable cannot stop the recorder."""

import micropython

micropython.kbd_intr(-1)
