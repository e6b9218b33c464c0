"""Trials on made-up clusters."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.engine.devices import Memory
from evolve.engine.nodes import Node, place_on
from evolve.engine.placement import Asked, trials_on_one
from evolve.errors import EvolveError
from evolve.testing.devices import GIB
from tests.unit.engine.test_placement import probe


def node(cpus, gpus=0, *, gpu_gib=None, memory_gib=64, name="n"):
    memory = () if gpu_gib is None else (Memory(int(gpu_gib * GIB), int(gpu_gib * GIB)),) * gpus
    return Node(name, cpus, gpus, int(memory_gib * GIB), memory)


def test_a_core_for_each_trial_on_all_machines():
    found = place_on(probe(), [node(1), node(4), node(2)], Asked())
    assert (found.workers, found.threads, found.nodes, found.bound) == (7, 1, 3, "cores")
    assert (found.cpus, found.cpus_alone, found.gpus_per_trial) == (7, 4, 0.0)
    assert found.why == "7 at once on 3 machines, 1 thread each: a core for each, of 7"


def test_few_trials_take_more_cores_but_never_of_two_machines():
    assert place_on(probe(), [node(8), node(8)], Asked(trials=2)).threads == 8
    assert place_on(probe(), [node(8), node(3)], Asked(trials=2)).threads == 4
    assert place_on(probe(), [node(8), node(3)], Asked(workers=3)).threads == 3


def test_machines_without_cores_train_nothing():
    found = place_on(probe(), [node(0), node(2)], Asked())
    assert (found.workers, found.nodes) == (2, 1)
    with pytest.raises(EvolveError, match="no machine has a CPU"):
        place_on(None, [node(0)], Asked())


def test_where_there_are_gpus_other_machines_get_nothing():
    found = place_on(None, [node(16), node(8, 4), node(8, 1)], Asked())
    assert (found.workers, found.gpus, found.nodes, found.bound) == (5, 5, 2, "GPUs")
    assert (found.gpus_per_trial, found.threads) == (1.0, 2)  # 4 of 8 cores by 2, 1 of 8 by 2
    with pytest.raises(EvolveError, match="no machine with a GPU has a CPU"):
        place_on(None, [node(16), node(0, 4)], Asked())


def test_the_smallest_gpu_says_how_many_share_one():
    nodes = [node(32, 2, gpu_gib=24), node(32, 1, gpu_gib=80)]
    found = place_on(probe(device_gib=10), nodes, Asked())
    assert (found.workers, found.trials_per_gpu, found.bound) == (6, 2, "GPU memory")
    assert found.gpus_per_trial == 0.5
    with pytest.raises(EvolveError, match="one trial takes") as e:
        place_on(probe(device_gib=30), nodes, Asked())
    assert e.value.where == "GPU 0 of n"


def test_a_share_that_was_asked_for():
    nodes = [node(8, 4), node(8, 2)]
    assert place_on(None, nodes, Asked(gpus_per_trial=0.5)).workers == 12
    two = place_on(None, nodes, Asked(gpus_per_trial=2))
    assert (two.workers, two.threads, two.gpus_per_trial) == (3, 4, 2.0)
    four = place_on(None, nodes, Asked(gpus_per_trial=4))
    assert (four.workers, four.threads) == (1, 8)


@pytest.mark.parametrize(("share", "said"), [(5, "more than 4"), (0, "above 0"), (1.5, "1 or 2")])
def test_a_share_that_no_machine_has_is_refused(share, said):
    with pytest.raises(EvolveError, match="GPUs per trial cannot be had") as e:
        place_on(None, [node(8, 4), node(8, 2)], Asked(gpus_per_trial=share))
    assert said in e.value.mend


def test_a_share_of_a_gpu_needs_a_gpu():
    with pytest.raises(EvolveError, match=r"0\.5 GPUs per trial cannot be had") as e:
        place_on(None, [node(8)], Asked(gpus_per_trial=0.5))
    assert "auto to train on the CPU" in e.value.mend


def test_more_workers_than_the_cluster_has_room_for_are_refused():
    with pytest.raises(EvolveError, match="5 trials at once cannot be had on 2 machines") as e:
        place_on(None, [node(2), node(2)], Asked(workers=5))
    assert e.value.mend == "give 4 or fewer"


def test_memory_of_each_machine_bounds_its_own_trials():
    found = place_on(probe(host_gib=4), [node(8, memory_gib=9), node(8, memory_gib=64)], Asked())
    assert (found.workers, found.bound, found.memory_bytes) == (10, "host memory", 4 * GIB)
    with pytest.raises(EvolveError, match="no machine has more than"):
        place_on(probe(host_gib=80), [node(8)], Asked())


nodes = st.lists(st.builds(node, st.integers(0, 12), st.integers(0, 4)), min_size=1, max_size=5)


@given(nodes, st.integers(1, 40), st.sampled_from(["auto", 0.25, 0.5, 1.0, 2.0]))
def test_whatever_is_placed_fits_machine_by_machine(cluster, trials, share):
    try:
        found = place_on(None, cluster, Asked(trials=trials, gpus_per_trial=share))
    except EvolveError:
        return
    each = found.gpus_per_trial
    room = 0
    for one in cluster:
        if bool(one.gpus) == bool(found.gpus):
            gpus = one.gpus * trials_on_one(each) if each < 1 else one.gpus // each
            room += min(one.cpus // found.threads, gpus if found.gpus else one.cpus)
    assert 1 <= found.workers <= min(room, trials)
    assert dataclasses.replace(found).to_dict()["nodes"] <= len(cluster)
