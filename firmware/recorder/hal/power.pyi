"""Clock speed, watchdog, reset, radio."""

def version() -> tuple[bytes, str]:
    """(SHA-256 over the installed firmware, 32 bytes; version text)."""

def fast(on: bool) -> None:
    """Full speed for sync and idle work, the recording speed otherwise."""

def rest() -> None:
    """The least speed at which a computer on the cable, the switch and the button are still heard; until `fast`."""

def radio_off() -> None: ...
def radio_is_off() -> bool:
    """The radio has no power."""

def feed() -> None:
    """Feed the watchdog (8 s)."""

def came_on() -> bool:
    """This start is because power came, not a restart."""

def note_fault(code: int) -> None:
    """Keep a fault code where a reset does not wipe it."""

def close_files() -> None:
    """Give back what MicroPython's own file system takes: nothing is read from it any more."""

def crashed(error: Exception) -> None:
    """Keep that an error ended the program, as a fault code; the virtual recorder also shows which. Never shown on the cable."""

def last_fault() -> int:
    """The code kept before the last reset, 0 for none; clears it."""

def reset() -> None:
    """Restart the recorder. Does not return."""
