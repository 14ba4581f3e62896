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
    from recorder import starting
except Exception:  # firmware that is damaged can raise any
    sys.path[:] = ["/"]
    import unfinished

    unfinished.tell()
else:
    starting.run()
