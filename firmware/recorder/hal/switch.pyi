"""The slide switch: it latches, so its position is the truth."""

def is_on() -> bool:
    """Debounced position."""
