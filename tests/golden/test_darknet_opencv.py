"""Networks filled from `.weights` files against OpenCV's DNN, an independent reader of them.

OpenCV read the cfg files that `write_cfg` made; see make_darknet_golden.py for the versions.
It adds 1e-6 to variances, where darknet adds 1e-5 on a GPU, and so does the network here.
"""

import numpy as np
import pytest
import torch
from torch import nn

from model.darknet import load_weights
from model.decode import anchors_of, as_slots, decode_grid
from tests.golden.make_darknet_golden import (
    INPUT_WH_PX,
    NETWORKS,
    STORED,
    build,
    image,
    write_weights,
)

EPS_OF_OPENCV = 1e-6


@pytest.fixture(scope="module")
def stored():
    with np.load(STORED) as file:
        return dict(file)


@pytest.fixture(scope="module", params=NETWORKS)
def computed(request, tmp_path_factory):
    """Name, network and raw maps, in the order in which the cfg file has the heads."""
    _, network = build(request.param)
    path = tmp_path_factory.mktemp("weights") / "seeded.weights"
    write_weights(network, path)
    load_weights(network, path)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = EPS_OF_OPENCV
    with torch.no_grad():
        maps = network(torch.from_numpy(image()))
    return request.param, network, maps


def in_order_of_file(name, values):
    """Tiny networks and YOLOv3 have their coarsest head first."""
    return values[::-1] if "tiny" in name or "yolov3" in name else values


def test_raw_maps_are_those_of_opencv(computed, stored):
    name, _, maps = computed
    assert maps[0].std() > 0.01
    for place, raw in enumerate(in_order_of_file(name, maps)):
        np.testing.assert_allclose(raw, stored[f"{name} raw {place}"], rtol=0, atol=1e-4)


def test_boxes_are_those_of_opencv(computed, stored):
    name, network, maps = computed
    geometry = network.geometry
    anchors = torch.tensor(geometry.anchors_wh_px) / torch.tensor(INPUT_WH_PX)
    boxes = []
    for raw, mask, scale in zip(maps, geometry.masks, geometry.scales_xy, strict=True):
        chosen = anchors_of(anchors, mask)
        slots = as_slots(raw, len(mask))
        flat = decode_grid(slots, chosen, scale, new_coords=geometry.new_coords)
        # OpenCV goes through the cells, and through the anchors of each
        boxes.append(flat.view(len(mask), -1, 4).transpose(0, 1).reshape(-1, 4))
    for place, own in enumerate(in_order_of_file(name, boxes)):
        np.testing.assert_allclose(own, stored[f"{name} boxes {place}"], rtol=1e-4, atol=1e-4)
