"""Leaving nothing secret in the heap.

MicroPython's collector frees blocks without clearing them, so a key that was "deleted" is still readable in RAM. What
the RAM holds must open nothing that was recorded before; therefore every key, digest, pad and cipher context is
overwritten in place when it is done with (`wipe`, `wipe_context`). Code that cannot do that, because it computes with
big integers, ends with `sweep` (sweeping.py), which overwrites all of the free heap.

Proof: tests/firmware/test_wipe.py dumps the whole heap after a hundred pages and searches it for every earlier key, plain
and in the shapes in which hash and cipher contexts hold them; the same search finds the keys of a careless twin.
Outside this proof: the C stack, which keeps the last call's copies until the next call overwrites them.
"""

import gc
import struct

import micropython

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# Every object starts with the pointer to its type, which must survive for the collector (py/obj.h, mp_obj_base_t).
HEAD_BYTES = struct.calcsize("P")

_context_bytes = {}  # type: dict[type, int]


@micropython.viper
def _zero(at: ptr8, count: int):  # type: ignore  # noqa: F821  (viper's own types)
    i = 0
    while i < count:
        at[i] = 0
        i += 1


@micropython.viper
def copy(to: ptr8, source: ptr8, count: int):  # type: ignore  # noqa: F821
    """Copy `count` bytes between buffers or addresses (int). No bounds are checked, nothing is allocated."""
    i = 0
    while i < count:
        to[i] = source[i]
        i += 1


def wipe(buf: "bytes | bytearray | memoryview") -> None:
    """Overwrite a buffer of bytes with zeros in place; also immutable `bytes`. Never call it on a literal."""
    _zero(buf, len(buf))


def learn_context(make: "Callable[[], Any]") -> int:
    """Measure the heap bytes of the objects that `make()` returns, so that `wipe_context` can overwrite their type.

    The size depends on port and crypto library, so it is measured, once, by the module that uses the type.
    """
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    size = 0
    for _ in range(2):  # the first call may allocate for other reasons
        before = gc.mem_alloc()
        context = make()
        size = gc.mem_alloc() - before
    if collecting:
        gc.enable()
    _context_bytes[type(context)] = size
    return size


def wipe_context(context: "Any") -> None:
    """Overwrite a hash or cipher object of a learned type. It may not be used afterwards. KeyError for other types."""
    _zero(id(context) + HEAD_BYTES, _context_bytes[type(context)] - HEAD_BYTES)
