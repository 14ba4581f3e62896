"""Reading a file as pages, and finding its header."""

from __future__ import annotations

import pytest

from earwitness.container import Container
from earwitness.errors import FormatError, IntegrityError
from host import maker
from host.maker import PAGE, Device


def test_pages_come_in_order_and_odd_bytes_are_counted(tmp_path):
    recording, _ = maker.normal(150)
    path = tmp_path / "a.ewr"
    path.write_bytes(recording.bytes() + b"odd")
    container = Container(path)
    assert list(container.pages()) == recording.file
    assert (container.size_pages, container.odd_bytes, container.header_fault) == (len(recording.file), 3, "")
    assert container.header.seq == 1


def test_a_spoilt_header_comes_from_its_copy(tmp_path):
    recording, _ = maker.normal()
    path = tmp_path / "a.ewr"
    path.write_bytes(bytes(PAGE) + recording.bytes()[PAGE:])
    container = Container(path)
    assert container.header.page == recording.file[0] and "page 0" in container.header_fault


def test_a_stale_checkpoint_of_an_older_recording_is_not_taken_for_the_copy(tmp_path):
    """Power went right behind page 0: what follows is what the card held before."""
    old, _ = maker.normal(device=Device(3))
    new, _ = maker.normal()
    path = tmp_path / "a.ewr"
    path.write_bytes(new.file[0] + b"".join(old.file[1:]))
    assert Container(path).header.recording_id == new.id


@pytest.mark.parametrize("size", [0, 3, PAGE - 1])
def test_a_file_short_of_a_page_is_no_recording(tmp_path, size):
    path = tmp_path / "a.ewr"
    path.write_bytes(maker.normal()[0].bytes()[:size])
    with pytest.raises((FormatError, IntegrityError)):
        Container(path)
