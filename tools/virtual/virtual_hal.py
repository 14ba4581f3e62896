"""Puts the virtual hardware in the place of the chip's: after `import virtual_hal`, `recorder.hal.*` are the modules in hal/.

Settings come from the JSON file that the environment variable EARWITNESS_VIRTUAL names, or from ARGS["virtual"] of the
running script, or later from `virtual_hal.setup(...)`. Without any there is no card, a blank flash and a silent microphone.
"""

import json
import os
import sys

_HERE = __file__.rsplit("/", 1)[0] if "/" in __file__ else "."
_FIRMWARE = _HERE + "/../../firmware"
for _path in (_HERE, _FIRMWARE):
    if _path not in sys.path:
        sys.path.append(_path)

import hal
import recorder
import world

NAMES = (
    "battery",
    "ble",
    "button",
    "card",
    "clock",
    "entropy",
    "flash",
    "light",
    "mic",
    "motor",
    "power",
    "rtc",
    "switch",
    "usb",
)


def setup(**settings):
    """A new boot: time 0, the tape at its start, whatever was not set at its default."""
    world.setup(**settings)
    for name in NAMES:
        module = sys.modules["recorder.hal." + name]
        if hasattr(module, "boot"):
            module.boot()


def _settings():
    path = os.getenv("EARWITNESS_VIRTUAL")
    if path:
        with open(path) as file:
            return json.load(file)
    import __main__

    return dict(getattr(__main__, "ARGS", {}).get("virtual") or {})


sys.modules["recorder.hal"] = hal
recorder.hal = hal
for _name in NAMES:
    _module = getattr(__import__("hal." + _name), _name)
    sys.modules["recorder.hal." + _name] = _module
    setattr(hal, _name, _module)
setup(**_settings())
