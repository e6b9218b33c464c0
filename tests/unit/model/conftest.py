"""Settings of the tests of trainings."""

import pytest
import torch


@pytest.fixture(scope="module")
def one_thread():
    """One thread of torch: sums have one order then, and results are equal bit for bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
