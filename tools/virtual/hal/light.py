"""The light, as a line in the events log whenever it changes."""

import world

_now = -1


def boot() -> None:
    global _now
    _now = -1


def set(brightness: int) -> None:
    global _now
    if brightness != _now:
        _now = brightness
        if world.levers["light_works"]:
            world.log("light", brightness)


def working() -> bool:
    return bool(world.levers["light_works"])
