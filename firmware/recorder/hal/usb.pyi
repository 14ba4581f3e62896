"""Bytes to and from the computer. A host that stops reading holds a write for 100 ms; once, on the chip, for half a second."""

def read(into: bytearray) -> int:
    """Take what is there, at most len(into); returns the number of bytes, 0 if none."""

def write(data: bytes | bytearray | memoryview) -> int:
    """Send; returns the number of bytes taken (less than len(data) means the host stopped reading)."""
