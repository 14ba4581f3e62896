"""The mark button, pressed by the script."""

import world


def next_edge(into: bytearray) -> int:
    if not world.edges:
        return -1
    edge, at = world.edges.pop(0)
    for index in range(8):
        into[index] = at & 0xFF
        at >>= 8
    return edge


def is_down() -> bool:
    return bool(world.levers["button"])
