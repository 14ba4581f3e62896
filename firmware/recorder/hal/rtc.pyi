"""The optional clock chip (DS3231)."""

def read() -> tuple[int, int] | None:
    """(UTC in microseconds since 1970, error bound in microseconds), or None where there is no chip or it lost its power."""

def write(utc_us: int) -> None:
    """Set the chip, if there is one."""
