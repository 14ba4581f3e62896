"""The optional clock chip. What speaks to it is loaded for that moment and belongs to the idle set (ds3231.py)."""

_known = False


def read() -> "tuple[int, int] | None":
    global _known
    from recorder.hal import ds3231

    found = ds3231.read()
    _known = found is not None
    return found


def write(utc_us: int) -> None:
    from recorder.hal import ds3231

    ds3231.write(utc_us)
    read()


def is_set() -> bool:
    return _known
