"""Raw entropy sources of the chip, before any conditioning."""

def raw(into: bytearray) -> None:
    """Fill `into` with raw ring-oscillator reads, one bit a byte (0 or 1). The health tests are the caller's."""

def system(count: int) -> bytes:
    """`count` bytes of the system's generator (stirred, not to be relied on alone)."""
