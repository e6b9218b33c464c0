import pytest
import torch
from torch import nn

from model.blocks.batch_aware import BatchAware
from model.blocks.drops import DarknetDropBlock, DropBlock, DropPath, block_side, build_drop, drops
from model.errors import ConfigurationError

ONES = torch.ones(8, 32, 20, 12)
KINDS = [kind for kind in drops if kind != "none"]


def full(kind, probability=0.1, block=0.25):
    """A training module at its full extent."""
    return build_drop(kind, probability, block, 0.5)


@pytest.mark.parametrize("kind", list(drops))
def test_probability_nought_and_evaluation_are_the_identity(kind):
    x = torch.randn(2, 3, 4, 5)
    assert torch.equal(full(kind, 0.0)(x), x)
    assert torch.equal(full(kind, 0.5).eval()(x), x)


def test_none_is_the_identity():
    x = torch.randn(2, 3, 4, 5)
    assert torch.equal(full("none", 0.5)(x), x)


def test_known_modules():
    assert isinstance(full("dropout", 0.3), nn.Dropout)
    assert isinstance(full("spatial", 0.3), nn.Dropout2d)
    assert full("dropout", 0.3).p == full("spatial", 0.3).p == 0.3


def test_unknown_kind():
    with pytest.raises(ConfigurationError, match="did you mean 'dropblock'"):
        full("dropblok")


@pytest.mark.parametrize("kind", KINDS)
def test_the_global_seed_decides(kind):
    draws = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        draws.append(full(kind, 0.5)(ONES))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize("kind", KINDS)
def test_the_mean_stays(kind):
    module = full(kind, 0.2)
    mean = torch.stack([module(ONES).mean() for _ in range(50)]).mean()
    assert mean.item() == pytest.approx(1.0, abs=0.06)


@pytest.mark.parametrize("kind", KINDS)
def test_dropped_values_have_no_gradient(kind):
    x = ONES.clone().requires_grad_()
    y = full(kind, 0.4)(x)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(gradient, y)  # the factors, as x is 1


@pytest.mark.parametrize(("fraction", "height", "side"), [(0.6, 10, 6), (0.01, 10, 1), (1, 4, 4)])
def test_block_side(fraction, height, side):
    assert block_side(fraction, height, 12) == block_side(fraction, 12, height) == side


def test_dropped_share_of_dropblock():
    """A cell is dropped by any of the seeds whose block covers it: nine, but fewer at the rim."""
    module = DropBlock(0.1, 0.25, 0.0)
    share = (module(torch.ones(64, 32, 20, 12)) == 0).float().mean().item()
    gamma = 0.1 / 9 * (20 * 12) / (18 * 10)
    rows, columns = (torch.tensor([1.0, 2.0] + [3.0] * (n - 4) + [2.0, 1.0]) for n in (20, 12))
    seeds = torch.outer(rows, columns)
    assert seeds.mean().item() * gamma == pytest.approx(0.1)  # were there no overlaps
    assert share == pytest.approx(1 - ((1 - gamma) ** seeds).mean().item(), abs=0.002)


def test_dropblock_of_one_cell_is_dropout():
    y = DropBlock(0.3, 0.01, 0.0)(ONES)
    share = (y == 0).float().mean().item()
    assert share == pytest.approx(0.3, abs=0.01)
    assert y.max().item() == pytest.approx(1 / (1 - share))


def test_dropblock_drops_whole_squares():
    y = DropBlock(0.05, 0.25, 0.0)(ONES) == 0
    # every dropped cell lies in some 3 x 3 square that is dropped as a whole
    squares = nn.functional.max_pool2d(1 - y.float(), 3, 1) == 0
    cover = nn.functional.max_pool2d(nn.functional.pad(squares.float(), [2] * 4), 3, 1) > 0
    assert torch.equal(cover, y)
    assert y.any()


def test_dropblock_rescales_by_count_over_the_batch():
    y = DropBlock(0.2, 0.25, 0.0)(ONES)
    assert y.sum().item() == pytest.approx(ONES.numel(), rel=1e-5)


def test_darknet_drops_at_most_one_block_per_channel_and_image():
    y = DarknetDropBlock(0.03, 0.25, 0.0)(ONES) == 0
    counts = y.flatten(2).sum(2)
    assert set(counts.unique().tolist()) == {0, 9}
    rows, columns = y.any(3).sum(2), y.any(2).sum(2)
    assert torch.equal(rows, columns)
    assert set(rows.unique().tolist()) == {0, 3}


def test_darknet_drops_as_often_as_there_is_a_seed():
    y = DarknetDropBlock(0.9, 0.25, 0.0)(torch.ones(64, 32, 20, 12)) == 0
    seedless = (1 - 0.9 / 9) ** (20 * 12)  # no cell of the whole map is a seed
    assert y.flatten(2).any(2).float().mean().item() == pytest.approx(1 - seedless, abs=0.01)
    few = DarknetDropBlock(0.02, 0.25, 0.0)(torch.ones(64, 32, 20, 12)) == 0
    seedless = (1 - 0.02 / 9) ** (20 * 12)
    assert few.flatten(2).any(2).float().mean().item() == pytest.approx(1 - seedless, abs=0.03)


def test_darknet_takes_the_smallest_number_as_seed_and_moves_it_inside(monkeypatch):
    drawn = torch.full((1, 2, 12), 0.9)
    drawn[0, 0, [5, 6]] = torch.tensor([0.02, 0.01])  # cell 6 is row 1, column 2 of 3 x 4
    drawn[0, 1, 11] = 0.03  # the last cell
    monkeypatch.setattr(torch, "rand", lambda *_, **__: drawn)
    y = DarknetDropBlock(0.4, 0.7, 0.0)(torch.ones(1, 2, 3, 4)) == 0  # side 2, 0.1 per cell
    first = [[0, 0, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]]
    assert y.int().tolist() == [[first, first]]


def test_darknet_rescales_each_image_over_all_its_channels():
    y = DarknetDropBlock(0.05, 0.3, 0.0)(ONES)
    torch.testing.assert_close(y.sum((1, 2, 3)), ONES.sum((1, 2, 3)))
    assert len(y.amax((1, 2, 3)).unique()) > 1


def test_darknet_survives_dropping_everything():
    module = DarknetDropBlock(0.9999, 1.0, 0.0)
    assert torch.equal(module(torch.ones(9, 1, 1, 1)), torch.zeros(9, 1, 1, 1))


@pytest.mark.parametrize(("progress", "extent"), [(0.0, 0.0), (0.25, 0.5), (0.5, 1.0), (0.9, 1.0)])
@pytest.mark.parametrize("kind", ["dropblock", "dropblock-darknet"])
def test_ramp(kind, progress, extent):
    module = full(kind)
    assert isinstance(module, BatchAware)
    module.begin_batch(progress)
    assert module.extent == extent


def test_ramp_of_nought_is_full_at_once():
    module = DropBlock(0.1, 0.2, 0.0)
    module.begin_batch(0.0)
    assert module.extent == 1.0


def test_darknet_blocks_grow_with_the_ramp():
    module = DarknetDropBlock(0.9, 0.5, 1.0)
    module.begin_batch(0.5)
    dropped = (module(ONES) == 0).flatten(2).sum(2)
    assert dropped.max() == 9  # a quarter of 12, squared


def test_paths_are_dropped_image_by_image():
    y = DropPath(0.25)(torch.ones(400, 2, 3, 1)).flatten(1)
    kept = y[:, 0] > 0
    torch.testing.assert_close(y, kept[:, None] * torch.full((400, 6), 4 / 3))
    assert kept.float().mean().item() == pytest.approx(0.75, abs=0.05)
