"""The tree against RFC 9162's recursive definition."""

from __future__ import annotations

import hashlib

import pytest

from earwitness import merkle
from host import maker

LEAVES = [hashlib.sha256(bytes([i])).digest() for i in range(130)]


def test_an_empty_tree_is_the_hash_of_nothing():
    assert merkle.Tree().root() == hashlib.sha256().digest() == merkle.empty_root()


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 63, 64, 65, 127, 128, 130])
def test_root_and_range_are_those_of_the_definition(size):
    tree = merkle.Tree().extended(LEAVES[:size])
    assert tree.root() == maker.root(LEAVES[:size])
    assert tree.range() == maker.compact_range(LEAVES[:size])


@pytest.mark.parametrize("size", [1, 6, 64, 100])
def test_a_tree_goes_on_from_its_range(size):
    tree = merkle.Tree(size, maker.compact_range(LEAVES[:size]))
    assert tree.extended(LEAVES[size:]).root() == maker.root(LEAVES)
    assert tree.size == size and tree.root() == maker.root(LEAVES[:size])


def test_a_range_of_the_wrong_length_is_refused():
    with pytest.raises(ValueError):
        merkle.Tree(3, LEAVES[:1])
