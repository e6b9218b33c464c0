"""Amounts as people read them."""

import math

import pytest

from evolve.units import duration, size


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(math.nan, "-"), (45.2, "45s"), (185, "3m05s"), (7620, "2h07m"), (59.9, "1m00s")],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KB"),
        (9_949, "9.9 KB"),
        (9_960, "10 KB"),
        (999_499, "999 KB"),
        (999_501, "1.0 MB"),
        (1_234_000_000, "1.2 GB"),
        (5e15, "5000 TB"),
    ],
)
def test_size(count, text):
    assert size(count) == text
