"""The optional clock chip (DS3231). Asking it loads what speaks to it: not while recording."""

def read() -> tuple[int, int] | None:
    """(UTC in microseconds since 1970, error bound in microseconds), or None where there is no chip or it lost its power."""

def write(utc_us: int) -> None:
    """Set the chip, if there is one."""

def is_set() -> bool:
    """What the last read() found; asks nobody."""
