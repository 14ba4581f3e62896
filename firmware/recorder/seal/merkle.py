"""RFC 9162 Merkle tree that only grows, kept as its compact range: what the recorder needs is log2(n) hashes of 32 bytes.

Leaf hashes come ready-made (FORMAT.md, "Every page"); a node is H(0x01 || left || right).
"""

from recorder.errors import FormatError
from recorder.seal.mac import sha256

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

_NODE = b"\x01"


def empty_root() -> bytes:
    """Root of the tree without leaves, H(""), 32 bytes."""
    return sha256(b"")


class Tree:
    """`size` leaves; the hashes of the perfect subtrees they fall into, largest first."""

    def __init__(self) -> None:
        self.size = 0
        self._nodes = []  # type: list[bytes]

    @staticmethod
    def from_range(size: int, hashes: "Sequence[bytes]") -> "Tree":
        """The tree of `size` leaves whose compact range is `hashes`. Raises FormatError if they do not fit together."""
        ones = 0
        rest = size
        while rest > 0:
            ones += rest & 1
            rest >>= 1
        if size < 0 or len(hashes) != ones:
            raise FormatError("range does not fit the tree")
        tree = Tree()
        tree.size = size
        tree._nodes = [bytes(node) for node in hashes]
        return tree

    def append(self, leaf: "bytes | bytearray | memoryview") -> None:
        """Add one leaf hash, 32 bytes; it is copied."""
        node = bytes(leaf)
        size = self.size
        while size & 1:  # every trailing one is a subtree of the same height, complete with this one
            node = sha256(_NODE, self._nodes.pop(), node)
            size >>= 1
        self._nodes.append(node)
        self.size += 1

    def root(self) -> bytes:
        """The root hash, 32 bytes."""
        if not self.size:
            return empty_root()
        node = self._nodes[-1]
        for index in range(len(self._nodes) - 2, -1, -1):
            node = sha256(_NODE, self._nodes[index], node)
        return node

    def range(self) -> "list[bytes]":
        """The compact range: one hash for each one in the binary form of `size`, largest subtree first."""
        return list(self._nodes)
