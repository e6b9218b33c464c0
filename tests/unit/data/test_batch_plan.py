import itertools
from collections import Counter

import pytest

from model.config import TrainConfig
from model.data.batch_plan import MiniBatch, epoch_positions, largest_size, plan_epoch
from model.errors import ConfigurationError


def config(**values):
    plain = {"batch_size": 4, "epochs": 10}
    return TrainConfig().with_values(
        plain | {name.replace("__", "."): value for name, value in values.items()}
    )


def shaped(**values):
    return config(shapes__range=1.4, shapes__every=1, **values)


def batches(steps):
    """The plan, one tuple of mini-batches for each batch."""
    found = []
    for step in steps:
        if step.first:
            found.append([])
        found[-1].append(step)
    return found


def test_a_fixed_plan_is_whole_batches_in_equal_parts():
    assert plan_epoch(config(subdivisions=2), 64, images=11, epoch=3) == (
        MiniBatch(0, 2, 64, 4, first=True, last=False),
        MiniBatch(2, 2, 64, 4, first=False, last=True),
        MiniBatch(4, 2, 64, 4, first=True, last=False),
        MiniBatch(6, 2, 64, 4, first=False, last=True),
    )


def test_a_small_set_fills_one_batch():
    (step,) = plan_epoch(config(), 64, images=3, epoch=0)
    assert step == MiniBatch(0, 4, 64, 4, first=True, last=True)
    assert epoch_positions(config(), 3) == 4


def test_unequal_parts_are_refused():
    with pytest.raises(ConfigurationError, match=r"4 cannot be cut into 3 equal"):
        plan_epoch(config(subdivisions=3), 64, images=8, epoch=0)


@pytest.mark.parametrize(
    ("size_px", "factor", "expected"),
    [(608, 1.4, 896), (512, 1.4, 736), (416, 1.4, 608), (416, 1.0, 416), (32, 1.5, 96)],
)
def test_largest_size(size_px, factor, expected):
    assert largest_size(config(shapes__range=factor), size_px) == expected


@pytest.mark.parametrize(
    ("size_px", "lowest", "highest"), [(416, 320, 608), (512, 384, 736), (608, 480, 896)]
)
def test_sizes_range_as_in_darknet(size_px, lowest, highest):
    sizes = [
        step.size_px
        for epoch in range(1, 8)
        for step in plan_epoch(shaped(), size_px, images=400, epoch=epoch)
    ]
    seen = Counter(sizes)
    assert (min(seen), max(seen)) == (lowest, highest)
    assert not any(size % 32 for size in seen)
    smaller = sum(count for size, count in seen.items() if size <= size_px)
    assert 0.45 < smaller / len(sizes) < 0.55


def test_a_size_is_kept_for_so_many_updates():
    every_third = config(shapes__range=1.4, shapes__every=3, subdivisions=2)
    plan = plan_epoch(every_third, 416, images=48, epoch=1)
    groups = [len(list(same)) for _, same in itertools.groupby(s.size_px for s in plan)]
    assert all(length % 6 == 0 for length in groups)
    assert len(groups) > 1


def test_the_first_draw_and_the_end_are_the_largest():
    some = shaped(shapes__last=0.1)
    first, *rest = plan_epoch(some, 416, images=80, epoch=0)
    assert first.size_px == 608
    assert {step.size_px for step in rest} != {608}
    assert {step.size_px for step in plan_epoch(some, 416, images=80, epoch=8)} != {608}
    assert {step.size_px for step in plan_epoch(some, 416, images=80, epoch=9)} == {608}


def test_the_end_may_begin_between_two_draws():
    late = config(shapes__range=1.4, shapes__every=10, shapes__last=0.05)
    sizes = [step.size_px for step in plan_epoch(late, 416, images=40, epoch=9)]
    assert sizes[:5] == [sizes[0]] * 5 != [608] * 5
    assert sizes[5:] == [608] * 5


def test_plans_follow_seed_and_epoch_alone():
    plan = plan_epoch(shaped(), 416, images=80, epoch=1)
    assert plan == plan_epoch(shaped(), 416, images=80, epoch=1)
    assert plan != plan_epoch(shaped(), 416, images=80, epoch=2)
    assert plan != plan_epoch(shaped(seed=1), 416, images=80, epoch=1)


def test_dynamic_mini_batches_fill_the_memory_of_the_largest_size():
    dynamic = shaped(batch_policy="dynamic", batch_size=16, subdivisions=2)
    room = {608: 8, 576: 8, 544: 9, 512: 9, 480: 10, 448: 11, 416: 13, 384: 16, 352: 19, 320: 23}
    seen = set()
    for epoch in range(1, 9):
        for batch in batches(plan_epoch(dynamic, 416, images=400, epoch=epoch))[:-1]:
            seen.add(batch[0].size_px)
            assert [step.count for step in batch] == [room[batch[0].size_px]] * 2
            assert {step.batch_images for step in batch} == {2 * room[batch[0].size_px]}
    assert {320, 416, 608} <= seen


def test_dynamic_batches_are_all_positions_once():
    dynamic = shaped(batch_policy="dynamic", batch_size=8, subdivisions=4)
    ends = set()
    for epoch in range(10):
        plan = plan_epoch(dynamic, 416, images=83, epoch=epoch)
        assert [s.start for s in plan] == [0, *itertools.accumulate(s.count for s in plan)][:-1]
        assert sum(step.count for step in plan) == 80
        for batch in batches(plan):
            assert sum(step.count for step in batch) == batch[0].batch_images
            assert [step.last for step in batch] == [False] * (len(batch) - 1) + [True]
        ends.add(plan[-1].batch_images)
    assert min(ends) < 8


def test_without_shapes_dynamic_is_fixed():
    assert plan_epoch(config(batch_policy="dynamic"), 64, 11, 0) == plan_epoch(config(), 64, 11, 0)
