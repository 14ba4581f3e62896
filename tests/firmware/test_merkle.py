"""Merkle tree against the roots that certificate transparency publishes for its eight test leaves, and against a plain twin."""

from __future__ import annotations

import hashlib

# Test leaves and roots: RFC 6962 reference implementation (certificate-transparency, merkletree tests).
LEAVES = [
    b"", b"\x00", b"\x10", b"\x20\x21", b"\x30\x31", b"\x40\x41\x42\x43",
    bytes(range(0x50, 0x58)), bytes(range(0x60, 0x70)),
]  # fmt: skip
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def leaf(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def twin(leaves: list[bytes]) -> bytes:
    """RFC 9162 section 2.1.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + twin(leaves[:split]) + twin(leaves[split:])).digest()


def test_published_roots(mpy) -> None:
    source = """
        from recorder.seal.mac import sha256
        from recorder.seal.merkle import Tree
        from recorder.seal.merkle_range import from_range
        tree = Tree()
        emit(tree.root().hex())
        assert tree.root() == sha256(b"")
        for leaf in ARGS["leaves"]:
            tree.append(bytes.fromhex(leaf))
            emit(tree.root().hex())
        emit(tree.size)
    """
    assert mpy(source, args={"leaves": [leaf(data).hex() for data in LEAVES]}) == [*ROOTS, 8]


def test_every_size_goes_on_from_its_range(mpy) -> None:
    leaves = [leaf(bytes([i])) for i in range(70)]
    source = """
        from recorder.seal.merkle import Tree
        from recorder.seal.merkle_range import from_range
        leaves = [bytes.fromhex(leaf) for leaf in ARGS["leaves"]]
        for size in range(70):
            tree = Tree()
            for leaf in leaves[:size]:
                tree.append(leaf)
            again = from_range(size, tree.range())
            assert again.root() == tree.root() and again.size == size
            for leaf in leaves[size:]:
                again.append(leaf)
            emit([tree.root().hex(), again.root().hex(), len(tree.range())])
    """
    found = mpy(source, args={"leaves": [one.hex() for one in leaves]})
    for size, (root, whole, nodes) in enumerate(found):
        assert root == twin(leaves[:size]).hex()
        assert whole == twin(leaves).hex()
        assert nodes == size.bit_count()


def test_range_is_largest_subtree_first(mpy) -> None:
    leaves = [leaf(bytes([i])) for i in range(11)]
    source = """
        from recorder.seal.merkle import Tree
        from recorder.seal.merkle_range import from_range
        tree = Tree()
        for leaf in ARGS["leaves"]:
            tree.append(bytes.fromhex(leaf))
        emit([node.hex() for node in tree.range()])
    """
    expected = [twin(leaves[:8]).hex(), twin(leaves[8:10]).hex(), leaves[10].hex()]
    assert mpy(source, args={"leaves": [one.hex() for one in leaves]}) == [expected]


def test_later_leaves_do_not_change_a_range_taken_before(mpy) -> None:
    source = """
        from recorder.seal.merkle import Tree
        from recorder.seal.merkle_range import from_range
        tree = Tree()
        for value in range(3):
            tree.append(bytes((value,)) * 32)
        taken = tree.range()
        copy = list(taken)
        reused = bytearray(32)
        tree.append(reused)
        root = tree.root()
        reused[0] = 1
        emit([taken == copy, root == tree.root()])
    """
    assert mpy(source) == [[True, True]]


def test_a_range_that_does_not_fit_is_refused(mpy) -> None:
    source = """
        from recorder.errors import FormatError
        from recorder.seal.merkle import Tree
        from recorder.seal.merkle_range import from_range
        for size, count in ((3, 1), (4, 2), (0, 1), (-1, 1), (7, 4)):
            try:
                from_range(size, [bytes(32)] * count)
                emit("taken")
            except FormatError:
                emit("refused")
    """
    assert mpy(source) == ["refused"] * 5
