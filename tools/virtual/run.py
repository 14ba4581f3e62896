"""Boots the firmware on the virtual hardware. Started by device.py with EARWITNESS_VIRTUAL naming the settings."""

import sys

_HERE = __file__.rsplit("/", 1)[0] if "/" in __file__ else "."
sys.path.insert(0, _HERE)
sys.path.insert(0, _HERE + "/../../firmware")

import virtual_hal  # noqa: F401
import world

_MAIN = world.config.get("main") or _HERE + "/../../firmware/main.py"

world.log("boot", world.config.get("boot", 0))
try:
    with open(_MAIN) as _file:
        _code = compile(_file.read(), _MAIN, "exec")
    exec(_code, {"__name__": "__main__", "__file__": _MAIN})
    world.log("prompt")  # where the chip's would be; nothing of the firmware runs any more
    while True:
        world.idle(1000)
except BaseException as _error:
    world.log("crash", repr(_error))
    sys.print_exception(_error, sys.stderr)
    sys.exit(70)
