"""Building blocks keep their promises for any extent, weights and order."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.blocks.cbn import evaluate, expand
from model.blocks.drops import DarknetDropBlock, DropBlock, DropPath, block_side
from model.blocks.norms import norms
from model.blocks.statistics import moments
from model.blocks.weighted import WeightedSum
from model.necks.asff import Asff

FEW = settings(max_examples=30)
seeds = st.integers(0, 2**31 - 1)
sides = st.integers(1, 9)
fractions = st.floats(0.0625, 1.0)
probabilities = st.floats(0.01, 0.95)


@FEW
@given(seeds, sides, sides, probabilities, fractions)
def test_dropblock_keeps_or_drops_and_rescales(seed, height, width, probability, block):
    torch.manual_seed(seed)
    y = DropBlock(probability, block, 0.0)(torch.ones(3, 4, height, width))
    factors = y[y > 0].unique()
    assert len(factors) <= 1
    if len(factors):
        torch.testing.assert_close(y.mean(), torch.tensor(1.0))


@FEW
@given(seeds, sides, sides, probabilities, fractions)
def test_darknet_drops_one_square_or_none(seed, height, width, probability, block):
    torch.manual_seed(seed)
    y = DarknetDropBlock(probability, block, 0.0)(torch.ones(3, 4, height, width)) == 0
    side = block_side(block, height, width)
    assert set(y.flatten(2).sum(2).unique().tolist()) <= {0, side * side}
    for extent in (y.any(3).sum(2), y.any(2).sum(2)):
        assert set(extent.unique().tolist()) <= {0, side}


@FEW
@given(seeds, st.integers(1, 6), probabilities)
def test_a_path_stays_whole_or_goes(seed, images, probability):
    torch.manual_seed(seed)
    y = DropPath(probability)(torch.ones(images, 3, 2, 2)).flatten(1)
    assert torch.equal(y, y[:, :1].expand_as(y))
    kept = y[y > 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - probability)))


@FEW
@given(seeds, st.permutations(range(4)))
def test_the_order_of_mini_batches_does_not_matter_in_the_end(seed, order):
    torch.manual_seed(seed)
    mini_batches = torch.randn(4, 2, 3, 2, 3)
    ends = []
    for chosen in (range(4), order):
        norm = norms.get("cmbn")(3)
        for index in chosen:
            norm(mini_batches[index])
        ends.append(torch.stack((norm.mean, norm.square)))
    torch.testing.assert_close(ends[0], ends[1], atol=1e-5, rtol=1e-5)


@FEW
@given(seeds, st.integers(1, 4), st.floats(0.01, 100.0))
def test_cmbn_output_is_centred_and_no_wider_than_bn(seed, images, scale):
    torch.manual_seed(seed)
    norm = norms.get("cmbn")(2)
    y = norm(scale * torch.randn(images, 2, 3, 3))
    mean, square, _ = moments(y.detach())
    assert (mean.abs() < 1e-4).all()
    assert (square <= 1 + 1e-4).all()


@FEW
@given(seeds, st.floats(0.5, 50.0))
def test_frn_forgets_the_scale(seed, scale):
    torch.manual_seed(seed)
    norm, x = norms.get("frn")(3), torch.randn(2, 3, 4, 2)
    torch.testing.assert_close(norm(scale * x), norm(x), atol=1e-3, rtol=1e-3)


@FEW
@given(seeds, st.sampled_from([1, 2, 4]), st.sampled_from([1, 3]), st.integers(1, 2))
def test_a_convolutions_mean_is_carried_over_exactly(seed, groups, kernel, stride):
    torch.manual_seed(seed)
    x = torch.randn(2, 4, 4, 5, dtype=torch.float64)
    old, new = torch.randn(2, 4, 4 // groups, kernel, kernel, dtype=torch.float64)
    old.requires_grad_()

    def convolve(weight):
        return torch.nn.functional.conv2d(x, weight, None, stride, kernel // 2, 1, groups)

    past = evaluate(expand(convolve(old), old)[None], new)
    torch.testing.assert_close(past[0, 0], moments(convolve(new))[0])


@pytest.mark.parametrize("normalisation", ["relu", "softmax"])
@FEW
@given(st.lists(st.floats(-5, 5, width=32), min_size=2, max_size=4))
def test_shares_are_never_negative_nor_above_one_in_all(normalisation, weights):
    module = WeightedSum(len(weights), normalisation)
    with torch.no_grad():
        module.weights.copy_(torch.tensor(weights))
    shares = module.shares()
    assert (shares >= 0).all()
    assert shares.sum() <= 1
    if max(weights) >= 0.5:
        assert shares.sum() > 0.999


@settings(max_examples=10)
@given(seeds, st.integers(1, 2), st.integers(1, 3))
def test_asff_is_within_what_it_fuses(seed, height, width):
    torch.manual_seed(seed)
    level = Asff((4, 4, 4), (4, 4, 4), "leaky", "bn").eval().levels[1]
    maps = tuple(torch.randn(1, 4, height << step, width << step) for step in (2, 1, 0))
    resized = torch.stack([resize(x) for resize, x in zip(level.resize, maps, strict=True)])
    y = level(maps)
    assert (y >= resized.amin(0) - 1e-5).all()
    assert (y <= resized.amax(0) + 1e-5).all()
