"""Whatever is killed, a run ends as if nothing had happened."""

import pytest

from tests.e2e.chaos import compare


@pytest.mark.ray
@pytest.mark.timeout(600)
def test_a_run_under_random_kills_equals_its_undisturbed_twin(tmp_path):
    assert compare(seed=4, workers=1, work=tmp_path)
