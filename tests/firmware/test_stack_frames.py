"""Where MicroPython puts the frame of a function while it runs.

Up to 11 words, of locals, working stack and exception handlers, lie on the C stack. A larger frame is taken from the heap at
each call: nothing is left behind, but to find room in a heap full of small holes takes up to a third of a millisecond.
"""

from __future__ import annotations

from itertools import pairwise

import pytest

from earwitness.install import mpy
from earwitness.install.compact import compact
from earwitness.install.image import compiled
from tools import firmware_sets

_MOST_WORDS = 11  # VM_MAX_STATE_ON_STACK, py/objfun.c
_HANDLER_WORDS = 3  # mp_exc_stack_t


def _words(code: bytes, offset: int) -> int:
    """The size of the frame that a function's bytecode asks for: MP_BC_PRELUDE_SIG_DECODE_INTO, py/bc.h."""
    byte = code[offset]
    slots, handlers, shift = byte >> 3 & 15, byte >> 2 & 1, 0
    while byte & 0x80:
        offset += 1
        byte = code[offset]
        slots |= (byte & 0x30) << 2 * shift
        handlers |= (byte & 2) << shift
        shift += 1
    return slots + 1 + _HANDLER_WORDS * handlers


def _frames(text: str) -> list[int]:
    code = compiled(text, "frames")
    return [_words(code, offset) for offset, _ in mpy.functions(code)]


def test_frames_are_read_as_micropython_counts_them() -> None:
    assert _frames("def f(a, b):\n    return a + b\n") == [4]
    names = ", ".join(f"a{k}" for k in range(40))
    assert _frames(f"def f({names}):\n    return a0 + a1\n") == [42]

    guarded = [_frames(_guarded(handlers))[0] for handlers in range(1, 7)]
    assert [more - less for less, more in pairwise(guarded)] == [_HANDLER_WORDS] * 5


def _guarded(handlers: int) -> str:
    """A function with so many try statements, each inside the next."""
    head = "".join(f"{' ' * k}try:\n" for k in range(1, handlers + 1))
    ends = "".join(f"{' ' * k}except OSError:\n{' ' * k} pass\n" for k in range(handlers, 0, -1))
    return f"def f(a):\n{head}{' ' * (handlers + 1)}a()\n{ends}"


@pytest.mark.parametrize("path", ["recorder/capture.py", "recorder/pages.py"])
def test_no_function_between_ring_and_page_takes_its_frame_from_the_heap(path: str) -> None:
    frames = _frames(compact(firmware_sets.sources())[path])
    assert len(frames) >= 15
    assert max(frames) <= _MOST_WORDS
