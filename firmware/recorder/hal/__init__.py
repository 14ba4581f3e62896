"""Hardware, behind one thin layer: the only place that knows pins and peripherals.

Each `name.pyi` beside this file is the contract of one module. The chip's modules stand beside their stubs; the virtual
recorder brings its own under the same names. Nothing else in the firmware may know which of the two it runs on.

A file `/mic_i2s` on the recorder puts machine.I2S in place of the microphone's own PIO program.
"""

import os

if "mic_i2s" in os.listdir("/"):
    import sys

    from recorder.hal import mic_i2s as mic

    sys.modules["recorder.hal.mic"] = mic
