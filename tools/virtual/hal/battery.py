"""The battery, as the script says."""

import world


def millivolts() -> int:
    return world.levers["battery_mv"]


def minutes_left() -> int:
    return world.levers["minutes"]


def usb_power() -> bool:
    return bool(world.levers["usb_power"])
