import itertools

from hypothesis import given
from hypothesis import strategies as st

from model.config import TrainConfig
from model.data.batch_plan import epoch_positions, largest_size, plan_epoch

configs = st.builds(
    lambda mini, subdivisions, policy, factor, every, last, seed: TrainConfig().with_values(
        {
            "batch_size": mini * subdivisions, "subdivisions": subdivisions, "epochs": 3,
            "batch_policy": policy, "seed": seed, "shapes.range": factor, "shapes.every": every,
            "shapes.last": last,
        }
    ),
    st.integers(1, 9), st.integers(1, 4), st.sampled_from(["fixed", "dynamic"]),
    st.just(1.0) | st.floats(1, 4), st.integers(1, 12), st.floats(0, 1), st.integers(0, 99),
)  # fmt: skip
sizes = st.integers(1, 20).map(lambda steps: 32 * steps)


@given(configs, sizes, st.integers(1, 200), st.integers(0, 2))
def test_any_plan_is_sound(config, size_px, images, epoch):
    plan = plan_epoch(config, size_px, images, epoch)
    assert plan == plan_epoch(config, size_px, images, epoch)
    ends = list(itertools.accumulate(step.count for step in plan))
    assert [step.start for step in plan] == [0, *ends[:-1]]
    assert ends[-1] == epoch_positions(config, images)
    assert [step.first for step in plan] == [True, *(step.last for step in plan[:-1])]
    largest = largest_size(config, size_px)
    room = config.batch_size // config.subdivisions * largest**2
    for step in plan:
        assert step.count >= 1
        assert step.size_px % 32 == 0
        assert 32 <= step.size_px <= largest
        assert step.count * step.size_px**2 <= room


@given(configs, sizes, st.integers(1, 200), st.integers(0, 2))
def test_mini_batches_of_a_batch_are_alike(config, size_px, images, epoch):
    batch = []
    for step in plan_epoch(config, size_px, images, epoch):
        batch.append(step)
        if step.last:
            assert {one.batch_images for one in batch} == {sum(one.count for one in batch)}
            assert len({one.size_px for one in batch}) == 1
            assert len(batch) == min(config.subdivisions, step.batch_images)
            assert batch[0].count - batch[-1].count in (0, 1)
            batch = []
    assert not batch
