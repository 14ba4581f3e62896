"""Where in a compiled module the bytecode of its functions lies, so that the recorder can run it from there.

The .mpy format, version 6: docs.micropython.org/en/latest/reference/mpyfiles.html, and load_raw_code in py/persistentcode.c.
"""

from __future__ import annotations

from typing import Final

from earwitness.errors import EarwitnessError

_VERSION: Final = 6
_STATIC_OBJECTS: Final = range(5)  # the function table, None, False, True, ...
_TEXTS: Final = (5, 6)  # str and bytes, with a zero byte behind
_TUPLE: Final = 10
_BYTECODE, _NATIVE, _VIPER = range(3)
_VIPER_DATA: Final = (
    0x70  # relocations, constants or variables beside the code: only native modules linked from C have them
)


def functions(code: bytes) -> list[tuple[int, int]]:
    """(offset, length) of each function's bytecode in `code`, without that of the module itself. Raises EarwitnessError."""
    try:
        return _Reader(code).functions()
    except IndexError:
        raise EarwitnessError("A compiled module is cut short.") from None


class _Reader:
    def __init__(self, code: bytes) -> None:
        self._code = code
        self._at = 0
        self._found: list[tuple[int, int]] = []

    def functions(self) -> list[tuple[int, int]]:
        if self._code[:1] != b"M" or self._code[1] != _VERSION:
            raise EarwitnessError("A compiled module is of another version of MicroPython.")
        self._at = 4
        names, objects = self._uint(), self._uint()
        for _ in range(names):
            self._name()
        for _ in range(objects):
            self._object()
        self._function()
        if self._at != len(self._code):
            raise EarwitnessError("A compiled module goes on after its end.")
        return self._found[1:]

    def _uint(self) -> int:
        value = 0
        while True:
            byte = self._code[self._at]
            self._at += 1
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value

    def _name(self) -> None:
        size = self._uint()
        if not size & 1:  # else one that MicroPython has already
            self._at += (size >> 1) + 1

    def _object(self) -> None:
        kind = self._code[self._at]
        self._at += 1
        if kind in _STATIC_OBJECTS:
            return
        size = self._uint()
        if kind == _TUPLE:
            for _ in range(size):
                self._object()
        else:
            self._at += size + (kind in _TEXTS)

    def _function(self) -> None:
        head = self._uint()
        kind, has_children, length = head & 3, head & 4, head >> 3
        if kind == _BYTECODE or not self._found:
            self._found.append((self._at, length))
        self._at += length
        if kind == _NATIVE:
            self._uint()
        elif kind == _VIPER and self._uint() & _VIPER_DATA:
            raise EarwitnessError("A compiled module has native data.")
        elif kind > _VIPER:
            self._uint(), self._uint(), self._uint()
        for _ in range(self._uint() if has_children else 0):
            self._function()
