"""The collector of garbage comes back as it was."""

import gc

import pytest

from evolve.store.bulk import no_garbage


def test_the_collector_stands_aside_and_comes_back():
    with no_garbage():
        assert not gc.isenabled()
        with no_garbage():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(KeyError), no_garbage():
        raise KeyError
    assert gc.isenabled()
