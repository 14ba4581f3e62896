"""The mark button. The interrupt only stamps; this hands out the stamps."""

def next_edge(into: bytearray) -> int:
    """Next edge not yet handed out: 1 pressed, 0 released, -1 none. `into[0:8]` gets its time, u64 microseconds since boot. Allocates nothing."""

def is_down() -> bool:
    """Pressed now."""
