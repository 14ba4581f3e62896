"""`bluetooth.UUID`: as bytes it is little-endian, as it goes through the air."""

import struct


class UUID:
    """16 bit from an int, 128 bit from text; 16 or 2 bytes as they are."""

    def __init__(self, value):
        if isinstance(value, int):
            self._data = struct.pack("<H", value)
        elif isinstance(value, str):
            plain = value.replace("-", "")
            if len(plain) != 32:
                raise ValueError("invalid UUID")
            self._data = bytes(reversed(bytes.fromhex(plain)))
        elif len(value) in (2, 16):
            self._data = bytes(value)
        else:
            raise ValueError("invalid UUID")

    def __bytes__(self):
        return self._data

    def __iter__(self):
        return iter(self._data)

    def __len__(self):
        return len(self._data)

    def __eq__(self, other):
        return isinstance(other, UUID) and self._data == other._data

    def __hash__(self):
        return hash(self._data)

    def text(self):
        """As the radio's process writes it."""
        digits = bytes(reversed(self._data)).hex()
        if len(digits) == 4:
            return digits
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
