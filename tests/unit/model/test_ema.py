import pytest
import torch
from torch import nn

from model.ema import Ema


def network(value):
    made = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1))
    for tensor in made.state_dict().values():
        tensor.fill_(value)
    return made


def test_moves_by_the_formula():
    live = network(0)
    ema = Ema(live, 0.9)
    expected = 0.0
    for n in range(1, 200):
        for tensor in live.state_dict().values():
            tensor.fill_(n)
        ema.update(live)
        decay = min(0.9, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * n
    state = ema.network.state_dict()
    assert state["0.weight"].item() == pytest.approx(expected, rel=1e-5)
    assert state["1.running_var"].item() == pytest.approx(expected, rel=1e-5)
    assert state["1.num_batches_tracked"] == 199


def test_start_is_the_network_itself_and_apart_from_it():
    live = network(3)
    ema = Ema(live, 0.5)
    live[0].weight.data.fill_(7)
    assert ema.network[0].weight.item() == 3
    assert not ema.network.training
    assert not any(p.requires_grad for p in ema.network.parameters())


def test_no_decay_is_a_copy():
    live = network(0)
    ema = Ema(live, 0.0)
    live[0].weight.data.fill_(5)
    ema.update(live)
    assert torch.equal(ema.network[0].weight, live[0].weight)


def test_every_entry_of_the_state_is_followed():
    live, ema = network(4), Ema(network(0), 0.0)
    ema.update(live)
    ours, theirs = ema.network.state_dict(), live.state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
