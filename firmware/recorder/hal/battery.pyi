"""The battery."""

def millivolts() -> int:
    """Cell voltage, 0 where it cannot be told."""

def minutes_left() -> int:
    """Estimated minutes of recording left, -1 where it cannot be told."""

def usb_power() -> bool:
    """A cable gives power."""
