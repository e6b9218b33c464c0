"""Weights files of any content: bit for bit back, and cut anywhere never half loaded."""

import struct
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.blocks.conv import ConvBlock
from model.build import Detector
from model.darknet import file_size, load_weights, save_weights
from model.darknet_cfg.read import read_cfg
from model.errors import CheckpointError, ConfigurationError
from model.geometry import Geometry
from model.heads.yolo import YoloHead

GEOMETRY = Geometry((32,), ((0,),), (1.0,), ((10, 10),))


def small():
    backbone, neck = ConvBlock(3, 2, 1), ConvBlock(2, 4, 1)
    return Detector(backbone, neck, YoloHead((4,), 2, GEOMETRY))


def test_sizes():
    assert file_size(small()) == 20 + 4 * (2 * 4 + 6 + 4 * 4 + 8 + 7 * 5)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1))
def test_round_trip_is_bit_exact(seed, seen):
    rng = np.random.default_rng(seed)
    one, other = small(), small()
    with torch.no_grad():
        for tensor in (*one.parameters(), *one.buffers()):
            if tensor.is_floating_point():
                drawn = np.abs(rng.standard_normal(tensor.shape) * 10.0 ** rng.integers(-30, 30))
                tensor.copy_(torch.from_numpy(drawn))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.weights"
        save_weights(one, path, seen=seen)
        assert load_weights(other, path).seen == seen
    ours, theirs = other.state_dict(), one.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@settings(max_examples=60)
@given(st.integers(0, 4 * 120), st.integers(0, 2**32 - 1))
def test_a_file_of_any_length_is_taken_whole_or_not_at_all(length, seed):
    """Whatever its length and bytes, after an error the network is what it was."""
    rng = np.random.default_rng(seed)
    raw = struct.pack("<3iQ", 0, 2, 5, 0) + rng.bytes(length)
    network = small()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.weights"
        path.write_bytes(raw)
        try:
            load_weights(network, path)
        except CheckpointError:
            after = network.state_dict()
            assert all(torch.equal(before[name], after[name]) for name in before)
        else:
            assert length % 4 == 0


@settings(max_examples=60)
@given(st.binary(max_size=200) | st.text("[]net=1,#;\n \tconvyl.-", max_size=200).map(str.encode))
def test_any_bytes_are_a_cfg_or_a_told_fault(raw):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "any.cfg"
        path.write_bytes(raw)
        told, cfg = "", None
        try:
            cfg = read_cfg(path)
        except ConfigurationError as fault:
            told = fault.where
        assert str(path) in told if cfg is None else cfg.net.name == "net"


def test_length_decides_what_is_in_a_file():
    with pytest.raises(CheckpointError, match="ends inside"):
        _load_ones(3)
    assert _load_ones(14).layers == 1


def _load_ones(floats):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.weights"
        path.write_bytes(struct.pack("<3iQ", 0, 2, 5, 0) + np.ones(floats, "<f4").tobytes())
        return load_weights(small(), path)
