"""Overwrites what computing has left in the free heap, where nothing else can reach it (wipe.py says why). Idle set."""

import gc


def sweep() -> None:
    """Overwrite all of the free heap: collect, then allocate zeroed blocks until none is left, then collect again.

    For idle moments (tens of ms on the chip). What is referenced still, or seems to be from the stack, stays.
    """
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()  # nothing is reclaimed meanwhile, so nothing needs to be held
    try:
        for size in (16384, 2048, 256, 64):
            try:
                while True:
                    bytearray(size)
            except MemoryError:
                pass
        try:
            while True:
                _pair = (
                    collecting,
                    collecting,
                )  # fills the smallest block: 16 bytes on the chip, 32 on 64-bit machines
        except MemoryError:
            pass
    finally:
        if collecting:
            gc.enable()
        gc.collect()
