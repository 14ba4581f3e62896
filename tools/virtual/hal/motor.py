"""The vibration motor, as a line in the events log whenever it changes."""

import world

_now = False


def boot() -> None:
    global _now
    _now = False


def set(on: bool) -> None:
    global _now
    if bool(on) != _now:
        _now = bool(on)
        if world.levers["motor_works"]:
            world.log("motor", 1 if on else 0)


def working() -> bool:
    return bool(world.levers["motor_works"])
