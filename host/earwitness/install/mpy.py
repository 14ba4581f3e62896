"""Where in a compiled module the bytecode of its functions lies, and its long constants, so that the recorder can use it there.

The .mpy format, version 6: docs.micropython.org/en/latest/reference/mpyfiles.html, and load_raw_code in py/persistentcode.c.
"""

from __future__ import annotations

from typing import Final

from earwitness.errors import EarwitnessError

LEAST_BYTES: Final = 64  # firmware/bundle.py

_VERSION: Final = 6
_STATIC_OBJECTS: Final = range(5)  # the function table, None, False, True, ...
_BYTES: Final = 6
_TEXTS: Final = (5, _BYTES)  # str and bytes, with a zero byte behind
_TUPLE: Final = 10
_BYTECODE, _NATIVE, _VIPER = range(3)
_VIPER_DATA: Final = (
    0x70  # relocations, constants or variables beside the code: only native modules linked from C have them
)


def functions(code: bytes) -> list[tuple[int, int]]:
    """(offset, length) of each function's bytecode in `code`, without that of the module itself. Raises EarwitnessError."""
    return _read(code).functions[1:]


def constants(code: bytes) -> list[tuple[int, int]]:
    """(offset, length) of the bytes of each constant that has at least LEAST_BYTES. Raises EarwitnessError."""
    return _read(code).constants


def names(code: bytes) -> list[str]:
    """The names that it spells: all but those that every MicroPython has by number. Raises EarwitnessError."""
    return _read(code).names


def _read(code: bytes) -> _Reader:
    reader = _Reader(code)
    try:
        reader.read()
    except IndexError:
        raise EarwitnessError("A compiled module is cut short.") from None
    return reader


class _Reader:
    def __init__(self, code: bytes) -> None:
        self._code = code
        self._at = 0
        self.functions: list[tuple[int, int]] = []
        self.constants: list[tuple[int, int]] = []
        self.names: list[str] = []

    def read(self) -> None:
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
            end = self._at + (size >> 1)
            self.names.append(self._code[self._at : end].decode("utf-8", "replace"))
            self._at = end + 1

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
            if kind == _BYTES and size >= LEAST_BYTES:
                self.constants.append((self._at, size))
            self._at += size + (kind in _TEXTS)

    def _function(self) -> None:
        head = self._uint()
        kind, has_children, length = head & 3, head & 4, head >> 3
        if kind == _BYTECODE or not self.functions:
            self.functions.append((self._at, length))
        self._at += length
        if kind == _NATIVE:
            self._uint()
        elif kind == _VIPER and self._uint() & _VIPER_DATA:
            raise EarwitnessError("A compiled module has native data.")
        elif kind > _VIPER:
            self._uint(), self._uint(), self._uint()
        for _ in range(self._uint() if has_children else 0):
            self._function()
