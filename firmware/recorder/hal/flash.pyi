"""A reserved region of the internal flash, by raw address. Programming clears bits only; erasing sets a sector to 0xFF."""

SIZE: int  # bytes in the region, a multiple of SECTOR
SECTOR: int  # 4096
PAGE: int  # 256

def read(address: int, into: bytearray | memoryview) -> None: ...
def program(address: int, data: bytes | bytearray | memoryview) -> None:
    """Program any length at any address (the driver pads to pages with 0xFF). A power cut leaves a prefix, the byte in flight torn."""

def erase(sector: int) -> None:
    """Erase one sector; takes tens of ms on the chip, interrupts off."""
