"""The LED. Shapes over time are made by indicator.py; this only sets it."""

def set(brightness: int) -> None:
    """0 off to 255 full."""

def working() -> bool:
    """False where the last set() is known not to have reached the LED (goes into the INDICATOR event)."""
