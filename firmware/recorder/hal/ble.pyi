"""Bluetooth LE: bytes to and from a computer that is near, as over the cable (LINK.md, "Bluetooth LE"). Never blocks longer than 100 ms.

The radio is off until `advertise(True)` and after `off()`.
"""

def advertise(on: bool) -> None:
    """Be found, or not any more, by anybody who looks for recorders; who connects stays connected. Raises OSError if the radio fails."""

def accept() -> bool:
    """True once for each connection. Nothing is read or written before: what was meant for the one before must not reach this one."""

def is_connected() -> bool:
    """A computer is connected and was accepted."""

def quiet_ms() -> int:
    """Milliseconds since the computer that is connected wrote anything, a bare confirmation included."""

def read(into: bytearray) -> int:
    """Take what is there, at most len(into); returns the number of bytes, 0 if none."""

def write(data: bytes | bytearray | memoryview) -> int:
    """Send; returns the number of bytes taken (less than len(data) means that the computer does not confirm, or is gone)."""

def hang_up() -> None:
    """End the connection."""

def off() -> None:
    """End the connection and switch the radio off."""
