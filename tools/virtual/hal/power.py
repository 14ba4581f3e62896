"""Power, watchdog, reset. The watchdog bites in virtual time, once it has been fed for the first time."""

import hashlib
import os
import sys

import world

_WATCHDOG_US = 8000000
_CRASHED = 1

_version = None
_fed_us = -1
_fault = 0


def boot() -> None:
    global _version, _fed_us, _fault, _speed
    _version = None
    _speed = "full"
    _fed_us = -1
    _fault = 0
    try:
        with open(world.config["kept"]) as file:
            _fault = int(file.read())
    except (OSError, KeyError, ValueError):
        pass


def _sources(folder: str) -> list[str]:
    found = []
    for name, kind, _, *_ in os.ilistdir(folder):
        if kind == 0x4000:
            if name != "__pycache__":
                found += _sources(folder + "/" + name)
        elif name.endswith(".py"):
            found.append(folder + "/" + name)
    return found


def version() -> tuple[bytes, str]:
    global _version
    if _version is None:
        import recorder

        root = recorder.__file__.rsplit("/", 2)[0]
        digest = hashlib.sha256()
        for path in sorted(_sources(root)):
            digest.update(path[len(root) :].encode() + b"\x00")
            with open(path, "rb") as file:
                while True:
                    part = file.read(1024)
                    if not part:
                        break
                    digest.update(part)
        _version = (digest.digest(), world.config.get("version", "0.1.0 virtual"))
    return _version


_speed = "full"


def fast(on: bool) -> None:
    _run_at("full" if on else "recording")


def rest() -> None:
    _run_at("rest")


def _run_at(speed: str) -> None:
    global _speed
    if speed != _speed:
        _speed = speed
        world.log("speed", speed)


def radio_off() -> None:
    pass


def radio_is_off() -> bool:
    return not world.config.get("radio_stuck")


def feed() -> None:
    global _fed_us
    if 0 <= _fed_us < world.now - _WATCHDOG_US and not (world.host_connected or world.near):
        world.log("watchdog")
        world.die("reset")
    _fed_us = world.now


def feed_if_armed() -> None:
    """For the card's wait loops: they keep the watchdog quiet and never wake it."""
    if _fed_us >= 0:
        feed()


def came_on() -> bool:
    return not world.config.get("restart")


def note_fault(code: int) -> None:
    world.log("fault", code)
    if world.config.get("kept"):
        with open(world.config["kept"], "w") as file:
            file.write(str(code))


def close_files() -> None:
    """The computer keeps its own."""


def crashed(error: Exception) -> None:
    sys.print_exception(error, sys.stderr)
    world.log("crash", repr(error))
    note_fault(_CRASHED)


def last_fault() -> int:
    global _fault
    code, _fault = _fault, 0
    if code and world.config.get("kept"):
        with open(world.config["kept"], "w") as file:
            file.write("0")
    return code


def reset() -> None:
    world.die("reset")
