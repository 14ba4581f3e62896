"""The recorder. Never returns to a prompt: whatever ends the session is kept as a fault, and the recorder starts again.

Only where no recorder is installed, or not all of one, it leaves the prompt to who installs it, and its light flickers;
and once after its owner asked for it (LINK.md, "MAINTENANCE"), until the next start.
"""

import micropython

micropython.kbd_intr(-1)  # 0x03 is a byte of the link, not a wish to stop

try:
    import os
    import sys

    if "earwitness.img" in os.listdir("/"):  # newer firmware
        import update

        update.take()
        del update, sys.modules["update"]
    import bundle

    bundle.mount()
    from recorder import room  # noqa: F401 (and the microphone's ring first: later there are no pieces of memory so large)
    from recorder.hal import mic, power  # noqa: F401

    held = bytearray(16384)  # while code is loaded, so that afterwards there is a large piece for what comes and goes
    from recorder.session import Session

    del held
except Exception:  # firmware that is damaged can raise any
    sys.path[:] = ["/"]
    import unfinished

    unfinished.tell()
else:
    fault = power.last_fault()
    if fault == 64:  # MAINTENANCE: its owner asked for the prompt (recorder/errands.py)
        micropython.kbd_intr(3)
    else:
        if fault:
            power.note_fault(fault)  # for the journal
        try:
            Session().run()
        except Exception as error:
            power.crashed(error)
        power.reset()
