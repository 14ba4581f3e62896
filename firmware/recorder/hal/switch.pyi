"""The slide switch: it latches, so its position is the truth."""

def is_on() -> bool:
    """Debounced position."""

def stands_on() -> bool:
    """It is on at this very moment, be it that it bounces."""
