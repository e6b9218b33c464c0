"""Weights files by names that tell them apart."""

from pathlib import Path

import pytest

from evolve.pareto.from_weights import short_names


@pytest.mark.parametrize(
    ("paths", "wanted"),
    [
        (["/runs/a/best.pt", "/runs/b/best.pt"], ["a/best.pt", "b/best.pt"]),
        (["/x/a/0/best.pt", "/x/b/0/best.pt"], ["a/0/best.pt", "b/0/best.pt"]),
        (["/runs/a/best.pt"], ["a/best.pt"]),
        ([], []),
    ],
)
def test_paths_are_as_short_as_tells_them_apart(paths, wanted):
    assert short_names(list(map(Path, paths))) == wanted
