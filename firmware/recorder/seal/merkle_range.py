"""A Merkle tree made again from its compact range, as a checkpoint page holds it. Idle set."""

from recorder.errors import FormatError
from recorder.seal.merkle import Tree

try:
    from typing import TYPE_CHECKING
except ImportError:
    TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence


def from_range(size: int, hashes: "Sequence[bytes]") -> Tree:
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
    tree.nodes = [bytes(node) for node in hashes]
    return tree
