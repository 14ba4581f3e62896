"""RFC 9162 Merkle hashing over leaf hashes that are given ready-made (FORMAT.md, "Every page")."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

HASH_BYTES = 32


def empty_root() -> bytes:
    """Root of a tree without leaves: H of nothing (RFC 9162 section 2.1.1)."""
    return sha256().digest()


def node(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


class Tree:
    """An append-only tree held as its compact range: one hash for each set bit of `size`, largest subtree first."""

    __slots__ = ("_range", "size")

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        if len(hashes) != size.bit_count():
            raise ValueError("a compact range has one hash for each set bit of its size")
        self.size = size
        self._range = list(hashes)

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash (32 bytes)."""
        size = self.size
        while size & 1:
            leaf = node(self._range.pop(), leaf)
            size >>= 1
        self._range.append(leaf)
        self.size += 1

    def extended(self, leaves: Iterable[bytes]) -> Tree:
        """A copy with `leaves` appended; this tree stays as it is."""
        copy = Tree(self.size, self._range)
        for leaf in leaves:
            copy.append(leaf)
        return copy

    def root(self) -> bytes:
        """Tree head (32 bytes)."""
        if not self._range:
            return empty_root()
        *rest, root = self._range
        for left in reversed(rest):
            root = node(left, root)
        return root

    def range(self) -> list[bytes]:
        """The compact range, largest subtree first."""
        return list(self._range)
