"""The slide switch, moved by the script."""

import world


def stands_on() -> bool:
    return is_on()


def is_on() -> bool:
    return bool(world.levers["switch"])
