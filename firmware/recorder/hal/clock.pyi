"""Monotonic time: the 64-bit microsecond timer. Never wraps, never set."""

def now_us() -> int:
    """Microseconds since boot. May allocate on the chip: not for the sample path."""

def stamp(into: bytearray, offset: int, back_us: int) -> None:
    """Write (now - back_us) as u64 little-endian microseconds into `into[offset:offset+8]`. Allocates nothing. 0 <= back_us < 2**30."""

def ticks_ms() -> int:
    """Milliseconds, a small int that wraps at 2**29; compare only with `since_ms`."""

def since_ms(ticks: int) -> int:
    """Milliseconds from `ticks` (an earlier ticks_ms) to now; right for up to 3 days."""

def idle(ms: int) -> None:
    """Sleep at most `ms`; wakes early on the switch, the button, the card or bytes on the cable."""
