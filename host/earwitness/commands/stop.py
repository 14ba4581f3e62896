"""`earwitness stop`."""

from __future__ import annotations

import time
from typing import Final

from earwitness.commands._device import PortOption, WhichOption
from earwitness.console import console
from earwitness.errors import DeviceBusyError

_PATIENCE_S: Final = 30.0
_LOOK_S: Final = 0.5


def stop(which: WhichOption = None, port: PortOption = None) -> None:
    """End the recording in progress as sliding it off does. Slide it off and on for the next."""
    from earwitness.devices import DeviceStore
    from earwitness.link.connect import connect

    recorder, record = connect(DeviceStore(), port, which=which)
    with recorder:
        was_recording = recorder.status().told.get("state") in ("recording", "muted")
        recorder.stop()
        until = time.monotonic() + _PATIENCE_S
        while recorder.status().told.get("state") in ("recording", "muted"):
            if time.monotonic() > until:
                raise DeviceBusyError("The recorder still records.", "Slide it off.")
            time.sleep(_LOOK_S)
    words = "has stopped recording" if was_recording else "was not recording"
    console.result(f"{record.name} {words}.", {"device": record.short_key, "was_recording": was_recording})
