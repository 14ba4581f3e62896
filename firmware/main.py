"""The recorder. Never returns to a prompt: whatever ends the session is kept as a fault, and the recorder starts again."""

import micropython

micropython.kbd_intr(-1)  # 0x03 is a byte of the link, not a wish to stop

from recorder.hal import power  # noqa: E402
from recorder.session import Session  # noqa: E402

try:
    Session().run()
except Exception as error:
    power.crashed(error)
power.reset()
