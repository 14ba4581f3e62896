"""The slide switch, moved by the script."""

import world


def is_on() -> bool:
    return bool(world.levers["switch"])
