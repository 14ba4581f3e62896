"""RFC 9162 Merkle tree that only grows, kept as its compact range: what the recorder needs is log2(n) hashes of 32 bytes.

Leaf hashes come ready-made (FORMAT.md, "Every page"); a node is H(0x01 || left || right).
"""

from recorder.seal.mac import sha256

_NODE = b"\x01"


class Tree:
    """`size` leaves; the hashes of the perfect subtrees they fall into, largest first."""

    def __init__(self) -> None:
        self.size = 0
        self.nodes = []  # type: list[bytes]

    def append(self, leaf: "bytes | bytearray | memoryview") -> None:
        """Add one leaf hash, 32 bytes; it is copied."""
        node = bytes(leaf)
        size = self.size
        while size & 1:  # every trailing one is a subtree of the same height, complete with this one
            node = sha256(_NODE, self.nodes.pop(), node)
            size >>= 1
        self.nodes.append(node)
        self.size += 1

    def root(self) -> bytes:
        """The root hash, 32 bytes."""
        if not self.size:
            return sha256(b"")
        node = self.nodes[-1]
        for index in range(len(self.nodes) - 2, -1, -1):
            node = sha256(_NODE, self.nodes[index], node)
        return node

    def range(self) -> "list[bytes]":
        """The compact range: one hash for each one in the binary form of `size`, largest subtree first."""
        return list(self.nodes)
