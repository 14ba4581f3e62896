"""The optional clock chip: there is one if `utc_us` is set; what is written to it is kept in the file `rtc`."""

import world

_ERROR_US = 2000000  # set to the second, then a few ppm


def _offset() -> int:
    path = world.config.get("rtc")
    try:
        with open(path) as file:
            return int(file.read())
    except (OSError, TypeError, ValueError):
        return world.config["utc_us"]


def _scene_us() -> int:
    return world.config.get("base_us", 0) + world.now


def read() -> tuple[int, int] | None:
    if world.config.get("utc_us") is None:
        return None
    return _offset() + _scene_us(), _ERROR_US


def write(utc_us: int) -> None:
    if world.config.get("utc_us") is None:
        return
    if world.config.get("rtc"):
        with open(world.config["rtc"], "w") as file:
            file.write(str(utc_us - _scene_us()))
    else:
        world.config["utc_us"] = utc_us - _scene_us()


def is_set() -> bool:
    return read() is not None
