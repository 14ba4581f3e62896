"""A paired recorder to start from. See kit.py for what a test can do with it."""

from __future__ import annotations

import pytest

from .kit import Paired, make_pairing


@pytest.fixture(scope="session")
def paired(tmp_path_factory: pytest.TempPathFactory) -> Paired:
    """Paired once; every recorder made from it has a copy of its flash and a card of its own."""
    return make_pairing(tmp_path_factory.mktemp("paired"))
