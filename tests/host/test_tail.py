"""Pages that nobody vouches for: what an accident makes of their numbers, and what only a hand does."""

from __future__ import annotations

import pytest

from earwitness.tail import Row, Tail, tell

SIZE, MOST = 100, 196


def rows(*numbers: int) -> list[Row]:
    """Each page another, in the order of the file, from place 200 on."""
    return [Row(200 + at, number, bytes([at])) for at, number in enumerate(numbers)]


@pytest.mark.parametrize(
    ("numbers", "spoilt", "left_out"),
    [
        ([], [], 0),
        ([100, 101, 102], [], 0),
        ([100, 102], [], 1),
        ([101, 102], [], 1),
        ([100, 9000, 102], [201], 0),
        ([100, 101, 9000], [202], 0),
        ([9000, 101, 102], [200], 0),
        ([100, 117, 102, 103], [201], 0),
        ([100, 9000, 9001, 103], [201, 202], 0),
        ([9000], [200], 0),
    ],
)
def test_a_number_that_an_accident_changed_stands_for_one_that_was_left_out(numbers, spoilt, left_out):
    found = tell(rows(*numbers), SIZE, MOST)
    assert (found.spoilt, found.disorder, found.left_out) == (spoilt, False, left_out)


@pytest.mark.parametrize(
    "numbers",
    [
        [100, 102, 101],
        [100, 101, 9000, 102, 103],
        [99, 100],
        [100, 50],
        [100, 101, 102, 101, 103],
        [103, 100, 101, 102],
    ],
)
def test_pages_brought_in_or_moved_are_in_disorder(numbers):
    found = tell(rows(*numbers), SIZE, MOST)
    assert found.disorder and not found.spoilt


def test_a_copy_is_one_wherever_a_number_is_left_out():
    line = rows(100, 101, 103)
    assert tell([*line, Row(203, 101, line[1].hash)], SIZE, MOST).disorder


def test_too_many_that_follow_each_other_are_in_line_and_counted():
    assert tell(rows(*range(100, 197)), SIZE, MOST) == Tail([], False, 196, 0)
    assert tell(rows(*range(100, 195), 196, 197), SIZE, MOST).highest == 194  # believed only where none is left out
