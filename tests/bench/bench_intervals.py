"""Coverage of the interval of a paired difference: 2,000 made-up comparisons a case.

Run: ``pytest -s tests/bench/bench_intervals.py`` (minutes). The truth is known; the interval is
made as in a comparison, with a bootstrap over images. Prints the share that holds the truth.
"""

import numpy as np
import pytest

from tests.unit.analysis.crossed import coverage

# what seeds, images, and both together leave in the mean difference
CASES = ((1, 1, 0), (1, 1, 1), (0.3, 1, 1), (1, 0.3, 1), (0.3, 0.3, 2))


@pytest.mark.parametrize("spreads", CASES)
@pytest.mark.parametrize("images", [30, 96, 300])
@pytest.mark.parametrize("pairs", [3, 5, 10])
def test_coverage(pairs, images, spreads):
    share = coverage(pairs, images, spreads, 2000, 200, np.random.default_rng(0))
    print(f"\npairs={pairs} images={images} spreads={spreads} coverage={share:.3f}")  # noqa: T201
    assert 0.93 <= share <= 0.985
