"""Loads all that a recording needs, and runs the recorder."""

import micropython

from recorder import room  # noqa: F401 (and the microphone's ring first: later there are no pieces of memory so large)
from recorder.hal import mic, power  # noqa: F401

held = bytearray(16384)  # while code is loaded, so that afterwards there is a large piece for what comes and goes
from recorder.session import Session  # noqa: E402

del held

_MAINTENANCE = 64  # its owner asked for the prompt (recorder/errands.py)


def run() -> None:
    """Be a recorder until something ends that, then start again; return to the prompt where its owner asked for it."""
    fault = power.last_fault()
    if fault == _MAINTENANCE:
        micropython.kbd_intr(3)
        return
    if fault:
        power.note_fault(fault)  # for the journal
    power.close_files()
    try:
        Session().run()
    except Exception as error:
        power.crashed(error)
    power.reset()
