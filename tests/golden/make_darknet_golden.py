"""Make darknet_opencv.npz: what OpenCV computes from cfg and weights files written here.

OpenCV's DNN module read darknet's files with code of its own until version 5. Two steps, as the
second needs an environment of its own (made with opencv-python-headless 4.14.0, numpy 2.4.6):

    python -m tests.golden.make_darknet_golden FOLDER           (with evolve)
    python tests/golden/make_darknet_golden.py --opencv FOLDER  (with opencv-python-headless<5)
"""

import struct
import sys
from pathlib import Path

import numpy as np

NETWORKS = {
    "yolov4": {},
    "yolov4-sam": {"neck.attention": "sam"},
    "yolov4-csp": {},
    "yolov4x-mish": {},
    "yolov4-tiny": {},
    "yolov4-tiny-3l": {},
    "yolov3-spp": {},
    "csresnext50-panet-spp": {},
}
CLASSES = 2
INPUT_WH_PX = (96, 64)
SEED = 7
STORED = Path(__file__).with_name("darknet_opencv.npz")


def drawn(kind, count, fan_in, rng):
    """Weights that keep activations moderate, in float32."""
    low, high = {
        "biases": (-0.3, 0.3),
        "scales": (0.8, 1.2),
        "rolling means": (-0.2, 0.2),
        "rolling variances": (0.5, 1.5),
        "weights": (-((3 / fan_in) ** 0.5), (3 / fan_in) ** 0.5),
    }[kind]
    return rng.uniform(low, high, count).astype("<f4")


def image():
    width, height = INPUT_WH_PX
    rng = np.random.Generator(np.random.PCG64(SEED + 1))
    return rng.uniform(0, 1, (1, 3, height, width)).astype(np.float32)


def build(name):
    """Configuration and network, its weights still those of torch's generator."""
    from model.build import build_from_config
    from model.config import TrainConfig

    model = name.removesuffix("-sam") + "-nano"
    config = TrainConfig().with_values({"model": model, "image_size": 96, **NETWORKS[name]})
    return config, build_from_config(config, CLASSES).eval()


def write_weights(network, path):
    """A file of seeded numbers in the order of the file, not by the writer under test."""
    from model.darknet_parts import network_parts

    rng = np.random.Generator(np.random.PCG64(SEED))
    with path.open("wb") as file:
        file.write(struct.pack("<3iQ", 0, 2, 5, 0))
        for part in network_parts(network):
            for field in part.fields:
                fan_in = field.tensor[0].numel() if field.tensor.dim() == 4 else 1
                file.write(drawn(field.kind, field.count, fan_in, rng).tobytes())


def write_files(folder):
    from model.darknet_cfg.write import write_cfg

    for name in NETWORKS:
        config, network = build(name)
        cfg = folder / f"{name}.cfg"
        write_cfg(network, config, cfg)
        width, height = INPUT_WH_PX
        lines = cfg.read_text().replace("width=96", f"width={width}", 1)
        cfg.write_text(lines.replace("height=96", f"height={height}", 1))
        write_weights(network, folder / f"{name}.weights")


def compute(folder):
    import cv2

    stored = {}
    for name in NETWORKS:
        files = (str(folder / f"{name}.cfg"), str(folder / f"{name}.weights"))
        network = cv2.dnn.readNetFromDarknet(*files)
        network.setInput(image())
        names = network.getLayerNames()
        heads = [one for one in names if one.startswith("yolo_")]
        numbers = [int(head.removeprefix("yolo_")) for head in heads]
        # the map that a head reads: of the convolution, or of the logistic behind it
        maps = [f"logistic_{n}" if f"logistic_{n}" in names else f"conv_{n - 1}" for n in numbers]
        found = [network.forward(one) for one in maps]
        boxes = [network.forward(one) for one in heads]
        for place, (raw, rows) in enumerate(zip(found, boxes, strict=True)):
            stored[f"{name} raw {place}"] = raw
            stored[f"{name} boxes {place}"] = rows.reshape(-1, rows.shape[-1])[:, :4]
    np.savez_compressed(STORED, **stored)
    sys.stderr.write(f"OpenCV {cv2.__version__}, numpy {np.__version__}: {STORED}\n")


if __name__ == "__main__":
    if sys.argv[1] == "--opencv":
        compute(Path(sys.argv[2]))
    else:
        write_files(Path(sys.argv[1]))
