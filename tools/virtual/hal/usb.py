"""The cable: a socket to the front end, which passes its bytes on to a terminal device or a port."""

import time

import world

_TIMEOUT_MS = 100


def read(into: bytearray) -> int:
    if world.usb is None:
        return 0
    world.poll_now()
    try:
        got = world.usb.readinto(into)
    except OSError:
        return 0
    return got or 0


def write(data: bytes | bytearray | memoryview) -> int:
    if world.usb is None or not world.host_connected:
        return 0
    view = memoryview(data)
    sent = 0
    started = time.ticks_ms()
    while sent < len(view):
        try:
            count = world.usb.write(view[sent:])
        except OSError:
            count = None
        if count:
            sent += count
            continue
        if time.ticks_diff(time.ticks_ms(), started) >= _TIMEOUT_MS:
            break
        time.sleep_ms(1)
        world.touch()
    return sent
