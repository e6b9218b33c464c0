"""Trials on made-up machines."""

import dataclasses
import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.engine.devices import Memory
from evolve.engine.placement import (
    RAY_UNIT,
    Asked,
    holds,
    margin_bytes,
    place,
    share_of,
    trials_on_one,
)
from evolve.engine.probe import Probe
from evolve.errors import EvolveError
from evolve.testing.devices import GIB, MadeUpDevices, gpu

A_PROBE = Probe(
    device="made up",
    threads=1,
    device_bytes=0,
    host_bytes=GIB,
    start_s=2.0,
    step_s=0.1,
    steps=30.0,
    eval_image_s=0.01,
    eval_images=100,
    checkpoint_bytes=30_000_000,
    weights_bytes=10_000_000,
    detections_bytes=100_000,
    epochs=20,
    mini_batch=8,
    size_px=160,
)


def probe(device_gib=0.0, host_gib=1.0):
    sizes = {"device_bytes": int(device_gib * GIB), "host_bytes": int(host_gib * GIB)}
    return dataclasses.replace(A_PROBE, **sizes)


def host(free_gib, total_gib=None):
    total = free_gib if total_gib is None else total_gib
    return Memory(int(total * GIB), int(free_gib * GIB))


# --- without a GPU ---------------------------------------------------------------------------


def test_two_cores_take_two_trials_of_one_thread():
    found = place(probe(), MadeUpDevices(of_cores=2), Asked())
    assert (found.workers, found.threads, found.gpus_per_trial) == (2, 1, 0.0)
    assert (found.bound, found.trials_per_gpu) == ("cores", 0)
    assert found.why == "2 at once, 1 thread each: a core for each, of 2"


def test_few_trials_share_all_cores():
    found = place(probe(), MadeUpDevices(of_cores=8), Asked(trials=3))
    assert (found.workers, found.threads, found.bound) == (3, 2, "trials")


def test_memory_bounds_the_trials():
    machine = MadeUpDevices(of_cores=16, of_memory=host(8.5, 10))
    found = place(probe(host_gib=2), machine, Asked())
    assert (found.workers, found.threads, found.bound) == (3, 5, "host memory")  # 7.5 / 2
    assert "each takes 2.1 GB of 9.1 GB free memory" in found.why


def test_a_trial_may_take_the_margin_if_it_is_the_only_one():
    found = place(probe(host_gib=3.5), MadeUpDevices(of_memory=host(3.6, 4)), Asked())
    assert (found.workers, found.threads) == (1, 8)


def test_not_even_one_trial_fits():
    with pytest.raises(EvolveError, match=r"one trial takes 4\.3 GB of memory, and 2\.1 GB") as e:
        place(probe(host_gib=4), MadeUpDevices(of_memory=host(2, 8)), Asked(workers=1))
    assert "raise subdivisions (mini-batches of 8 now)" in e.value.mend
    assert "lower image_size (160 now)" in e.value.mend


def test_more_workers_than_cores_only_if_asked_for():
    found = place(probe(), MadeUpDevices(of_cores=2), Asked(workers=5))
    assert (found.workers, found.threads, found.bound) == (5, 1, "asked")


def test_more_workers_than_memory_are_refused():
    machine = MadeUpDevices(of_memory=host(3.5))
    assert place(probe(), machine, Asked(workers=3)).workers == 3  # into the margin
    with pytest.raises(EvolveError, match="4 trials at once do not fit into memory") as e:
        place(probe(), machine, Asked(workers=4))
    assert e.value.mend.startswith("give 3 or fewer")


def test_inline_is_one_trial_with_all_cores():
    found = place(probe(), MadeUpDevices(of_cores=6), Asked(engine="inline", workers=4))
    assert (found.workers, found.threads, found.bound) == (1, 6, "engine")


# --- with GPUs -------------------------------------------------------------------------------


def test_one_gpu_holds_what_its_memory_does():
    machine = MadeUpDevices(of_gpus=(gpu(21, 24),), of_cores=12)
    found = place(probe(device_gib=5), machine, Asked())  # 21 - 2.4 = 18.6
    assert (found.workers, found.trials_per_gpu, found.gpus_per_trial) == (3, 3, 0.3333)
    assert (found.threads, found.bound) == (4, "GPU memory")
    assert found.why.startswith("3 at once, 3 on a GPU, 4 threads each: each takes 5.4 GB")


def test_eight_gpus_are_fed_by_the_cores_evenly():
    machine = MadeUpDevices(of_gpus=(gpu(40),) * 8, of_cores=20)
    found = place(probe(device_gib=5, host_gib=0.5), machine, Asked())
    # 20 cores would put 3 on some and 2 on others
    assert (found.workers, found.trials_per_gpu, found.gpus_per_trial) == (16, 2, 0.5)
    assert (found.threads, found.bound) == (1, "cores")


def test_fewer_trials_than_gpus_have_one_each():
    machine = MadeUpDevices(of_gpus=(gpu(40),) * 8, of_cores=64)
    found = place(probe(device_gib=5), machine, Asked(trials=3))
    assert (found.workers, found.gpus_per_trial, found.trials_per_gpu) == (3, 1.0, 1)


def test_the_smallest_of_mixed_gpus_decides():
    machine = MadeUpDevices(of_gpus=(gpu(80), gpu(12), gpu(24)), of_cores=64)
    found = place(probe(device_gib=5), machine, Asked())  # 12 - 1.2 holds two
    assert (found.workers, found.trials_per_gpu) == (6, 2)


def test_a_gpu_without_room_for_one_is_named_and_may_be_left_out():
    machine = MadeUpDevices(of_gpus=(gpu(80), gpu(2, 24, "busy")), of_cores=64)
    with pytest.raises(EvolveError, match=r"takes 5\.4 GB of a GPU, and 2\.1 GB of 26 GB") as e:
        place(probe(device_gib=5), machine, Asked())
    assert e.value.where == "GPU 1, busy"
    assert "CUDA_VISIBLE_DEVICES" in e.value.mend
    only = MadeUpDevices(of_gpus=(gpu(2, 24, "busy"),))
    with pytest.raises(EvolveError) as e:
        place(probe(device_gib=5), only, Asked())
    assert "CUDA_VISIBLE_DEVICES" not in e.value.mend


def test_host_memory_bounds_trials_on_gpus():
    machine = MadeUpDevices(of_gpus=(gpu(80),), of_cores=64, of_memory=host(20))
    found = place(probe(device_gib=5, host_gib=6), machine, Asked())
    assert (found.workers, found.gpus_per_trial, found.bound) == (3, 0.3333, "host memory")


def test_without_a_probe_a_gpu_has_one_trial():
    found = place(None, MadeUpDevices(of_gpus=(gpu(80),) * 2, of_cores=64), Asked())
    assert (found.workers, found.gpus_per_trial, found.bound) == (2, 1.0, "GPUs")


def test_workers_asked_for_are_spread_over_the_gpus():
    machine = MadeUpDevices(of_gpus=(gpu(80),) * 2, of_cores=4)
    found = place(probe(device_gib=5), machine, Asked(workers=5))
    assert (found.workers, found.trials_per_gpu, found.gpus_per_trial) == (5, 3, 0.3333)


def test_workers_asked_for_beyond_a_gpu():
    machine = MadeUpDevices(of_gpus=(gpu(16),), of_cores=4)
    with pytest.raises(EvolveError, match="4 trials on one GPU do not fit") as e:
        place(probe(device_gib=5), machine, Asked(workers=4))
    assert "3 or fewer" in e.value.mend


@pytest.mark.parametrize(
    ("share", "gpus", "workers"),
    [(0.3, 1, 3), (0.4, 3, 6), (1.0, 2, 2), (2.0, 5, 2), (1 / 7, 1, 7)],
)
def test_a_share_asked_for(share, gpus, workers):
    machine = MadeUpDevices(of_gpus=(gpu(80),) * gpus, of_cores=64)
    found = place(probe(device_gib=5), machine, Asked(gpus_per_trial=share))
    assert (found.workers, found.gpus_per_trial, found.bound) == (workers, share, "asked")


def test_a_share_means_nothing_without_a_gpu():
    found = place(probe(), MadeUpDevices(of_cores=4), Asked(gpus_per_trial=0.5))
    assert (found.workers, found.gpus_per_trial) == (4, 0.0)


@pytest.mark.parametrize("gpus", [0, 2])
@pytest.mark.parametrize("share", [0.0, -1.0, math.nan])
def test_a_share_of_nothing(share, gpus):
    machine = MadeUpDevices(of_gpus=(gpu(80),) * gpus)
    with pytest.raises(EvolveError, match="GPUs per trial cannot be had") as e:
        place(None, machine, Asked(gpus_per_trial=share))
    assert e.value.mend == f"this machine has {gpus}; give a number above 0"


def test_more_gpus_than_there_are():
    with pytest.raises(EvolveError, match="3 GPUs per trial cannot be had") as e:
        place(None, MadeUpDevices(of_gpus=(gpu(8),) * 2), Asked(gpus_per_trial=3))
    assert "this machine has 2" in e.value.mend


def test_a_part_of_two_gpus():
    with pytest.raises(EvolveError, match=r"1\.5 GPUs per trial cannot be had") as e:
        place(None, MadeUpDevices(of_gpus=(gpu(8),) * 2), Asked(gpus_per_trial=1.5))
    assert e.value.mend.startswith("give 1 or 2")


def test_workers_and_share_that_contradict_each_other():
    with pytest.raises(EvolveError, match=r"4 trials at once with 0\.5 GPUs each") as e:
        place(None, MadeUpDevices(of_gpus=(gpu(8),)), Asked(workers=4, gpus_per_trial=0.5))
    assert "give 2 or fewer" in e.value.mend


@pytest.mark.parametrize("workers", [0, -2])
@pytest.mark.parametrize("engine", ["ray", "inline"])
def test_no_workers(workers, engine):
    with pytest.raises(EvolveError, match="at least one worker"):
        place(None, MadeUpDevices(), Asked(workers=workers, engine=engine))


# --- on any machine --------------------------------------------------------------------------

gibs = st.floats(0.3, 200)
machines = st.builds(
    MadeUpDevices,
    of_gpus=st.lists(
        st.tuples(gibs, st.floats(0, 1)).map(lambda pair: gpu(pair[0] * pair[1], pair[0])),
        max_size=8,
    ).map(tuple),
    of_cores=st.integers(1, 256),
    of_memory=st.tuples(gibs, st.floats(0.05, 1)).map(
        lambda pair: host(pair[0] * pair[1], pair[0])
    ),
)
requests = st.builds(
    Asked,
    workers=st.none() | st.integers(1, 64),
    gpus_per_trial=st.just("auto") | st.integers(1, 30).map(lambda n: 1 / n) | st.integers(1, 3),
    engine=st.sampled_from(["ray", "inline"]),
    trials=st.integers(1, 500),
)
probes = st.builds(probe, device_gib=st.floats(0.3, 60), host_gib=st.floats(0.1, 20))


@given(probes, machines, requests)
def test_a_placement_stays_within_the_machine(found, machine, asked):
    try:
        where = place(found, machine, asked)
    except EvolveError:
        return
    assert where.workers >= 1
    assert where.workers * found.host_bytes <= machine.of_memory.free_bytes
    for one in machine.of_gpus:
        assert where.trials_per_gpu * found.device_bytes <= one.memory.free_bytes
    if asked.workers is None or where.workers <= machine.of_cores:
        assert where.workers * where.threads <= machine.of_cores
    share = Fraction(int(where.gpus_per_trial * RAY_UNIT + 1e-6), RAY_UNIT)
    if not machine.of_gpus:
        assert where.gpus_per_trial == where.trials_per_gpu == 0
    elif share <= 1:
        assert where.trials_per_gpu * share <= 1
        assert where.workers <= len(machine.of_gpus) * trials_on_one(where.gpus_per_trial)
    else:
        assert where.workers * share <= len(machine.of_gpus)


@given(probes, machines)
def test_left_to_itself_it_leaves_the_margin_unless_there_is_one_trial_only(found, machine):
    try:
        where = place(found, machine, Asked())
    except EvolveError:
        smallest = min([one.memory.free_bytes for one in machine.of_gpus], default=2**60)
        too_large = found.host_bytes > machine.of_memory.free_bytes
        assert too_large or (found.device_bytes > smallest)
        return
    if where.workers > 1:
        assert where.workers <= holds(machine.of_memory, found.host_bytes, margin=True)
    if where.trials_per_gpu > 1:
        least = min(holds(one.memory, found.device_bytes, margin=True) for one in machine.of_gpus)
        assert where.trials_per_gpu <= least


@pytest.mark.parametrize("trials", range(1, 101))
def test_parts_of_a_gpu_pack_exactly(trials):
    assert trials_on_one(share_of(trials)) == trials


@pytest.mark.parametrize(("total_gib", "margin"), [(80, 8 * GIB), (1, 500 << 20)])
def test_margin(total_gib, margin):
    assert margin_bytes(host(total_gib)) == margin
