import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from evolve.detections import DetectionFolder, find_images, output_names
from evolve.errors import EvolveError
from model.build import build_detector
from model.checkpoint import save_checkpoint
from model.config import TrainConfig
from model.data.headers import header_size_wh
from model.detect import detect_images, images_at_once, load_detector, load_picture
from model.draw import colour_of, draw
from model.errors import CheckpointError, DataError

CLASSES = ["cat", "dog"]
NO_BOXES = (np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.float32))


def state(**changes):
    torch.manual_seed(0)
    whole = {
        "config": TrainConfig(image_size=32, precision="fp32").to_dict(),
        "data": "abc",
        "classes": CLASSES,
        "anchors_wh": torch.full((9, 2), 0.3),
        "epoch": 3,
        "weights": build_detector("yolov4-nano", 2).state_dict(),
    }
    return {key: value for key, value in (whole | changes).items() if value is not None}


@pytest.fixture
def write_weights(tmp_path):
    def write(**changes) -> Path:
        save_checkpoint(tmp_path / "w.pt", state(**changes))
        return tmp_path / "w.pt"

    return write


def write_picture(path: Path, width=40, height=30, seed=0) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    path.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())
    return path


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + bytes(
        [orientation, 0, 0, 0, 0, 0, 0, 0]
    )
    body = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + jpeg[2:]


def test_a_checkpoint_is_read_whole_and_draws_no_random_number(write_weights):
    path = write_weights()
    torch.manual_seed(7)
    before = torch.get_rng_state()
    detector = load_detector(path, "cpu")
    assert torch.equal(torch.get_rng_state(), before)
    assert detector.classes == ("cat", "dog")
    assert detector.epoch == 3
    assert not detector.network.training
    for name, value in state()["weights"].items():
        assert torch.equal(detector.network.state_dict()[name], value)


@pytest.mark.parametrize("key", ["config", "classes", "anchors_wh", "weights"])
def test_a_missing_key_is_named(write_weights, key):
    with pytest.raises(CheckpointError, match=f"no '{key}'"):
        load_detector(write_weights(**{key: None}), "cpu")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"classes": ["cat"]}, "do not fit a yolov4-nano: 'head.*is of shape"),
        ({"classes": []}, "not a list of names"),
        ({"classes": "cat"}, "of type str"),
        ({"anchors_wh": torch.ones(3, 2)}, "not 9 positive sizes"),
        ({"anchors_wh": torch.zeros(9, 2)}, "not 9 positive sizes"),
        ({"weights": {}}, "is missing"),
        ({"weights": {**state()["weights"], "extra": torch.ones(1)}}, "'extra' is unknown"),
        ({"config": {"modle": "x"}}, "modle"),
        ({"config": TrainConfig().to_dict()}, "names no image_size"),
        ({"config": {"model": "yolov9", "image_size": 32}}, "no such model"),
    ],
)
def test_what_does_not_fit_is_told(write_weights, changes, words):
    with pytest.raises(CheckpointError, match=words) as raised:
        load_detector(write_weights(**changes), "cpu")
    assert raised.value.where.endswith("w.pt")


def test_boxes_are_inside_the_picture_and_best_comes_first(write_weights, tmp_path):
    detector = load_detector(write_weights(), "cpu")
    paths = [write_picture(tmp_path / "a.png"), write_picture(tmp_path / "b.jpg", 20, 50, 1)]
    found = detect_images(detector, paths, score_threshold=0.0001)
    assert [(f.path, f.width, f.height) for f in found] == [(paths[0], 40, 30), (paths[1], 20, 50)]
    for one in found:
        assert len(one.scores) > 0
        assert (np.diff(one.scores) <= 0).all()
        assert (one.boxes_xyxy_px >= 0).all()
        assert (one.boxes_xyxy_px <= (one.width, one.height) * 2).all()
    assert all(len(f.scores) == 0 for f in detect_images(detector, paths, score_threshold=1.0))


def test_pictures_alone_and_together_give_the_same(write_weights, tmp_path):
    detector = load_detector(write_weights(), "cpu")
    paths = [write_picture(tmp_path / f"{i}.png", seed=i) for i in range(3)]
    together = detect_images(detector, paths, 0.001)
    alone = [detect_images(detector, [path], 0.001)[0] for path in paths]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.scores, other.scores, rtol=1e-4)


def test_a_turned_photograph_is_taken_upright(write_weights, tmp_path):
    path = write_picture(tmp_path / "a.jpg", 40, 30)
    path.write_bytes(with_orientation(path.read_bytes(), 6))
    assert header_size_wh(path.read_bytes()) == (40, 30)
    assert load_picture(path).shape == (40, 30, 3)
    found = detect_images(load_detector(write_weights(), "cpu"), [path])[0]
    assert (found.width, found.height) == (30, 40)


def test_an_unreadable_picture_is_a_data_error(write_weights, tmp_path):
    (tmp_path / "a.png").write_bytes(b"text")
    with pytest.raises(DataError, match="not an image"):
        detect_images(load_detector(write_weights(), "cpu"), [tmp_path / "a.png"])


def test_drawing_leaves_the_picture_and_shows_nothing_for_nothing():
    picture = np.full((600, 500, 3), 90, np.uint8)
    boxes = np.array([[100, 100, 300, 200]], np.float32)
    drawn = draw(picture, boxes, np.array([1]), np.array([0.9], np.float32), CLASSES)
    assert (picture == 90).all()
    assert drawn.shape == picture.shape
    assert (drawn == colour_of(1)).all(axis=2).any()
    assert (draw(picture, *NO_BOXES, CLASSES) == picture).all()


def test_a_small_picture_comes_back_enlarged():
    assert draw(np.zeros((48, 96, 3), np.uint8), *NO_BOXES, CLASSES).shape == (240, 480, 3)


@pytest.mark.parametrize(
    "box", [(0, 0, 5, 5), (590, 0, 600, 10), (0, 490, 20, 500), (560, 480, 600, 500)]
)
def test_a_label_stays_inside_the_picture(box):
    picture = np.full((500, 600, 3), 90, np.uint8)
    arrays = (np.array([box], np.float32), np.array([0]), np.array([0.5], np.float32))
    drawn = draw(picture, *arrays, CLASSES)
    rows, columns = np.nonzero((drawn == colour_of(0)).all(axis=2))
    assert np.ptp(columns) >= 30
    assert np.ptp(rows) >= 10


def test_labels_grow_with_the_picture():
    def plate_rows(side):
        box = np.array([[0.3, 0.5, 0.6, 0.8]], np.float32) * side
        picture = np.full((side, side, 3), 90, np.uint8)
        drawn = draw(picture, box, np.array([0]), np.array([0.5], np.float32), CLASSES)
        return int((drawn == colour_of(0)).all(axis=2).any(axis=1)[: side // 2].sum())

    assert plate_rows(2400) > 2 * plate_rows(600)


def test_neighbouring_classes_have_their_own_colours():
    assert len({colour_of(label) for label in range(24)}) == 24


def test_names_are_unique_and_keep_their_stems():
    paths = [Path(p) for p in ("a/x.jpg", "b/x.jpeg", "x.png", "x.bmp", "x-2.jpg", "X.JPG")]
    names = output_names(paths)
    assert names == ["x.jpg", "x-2.jpg", "x.png", "x-2.png", "x-2-2.jpg", "X-3.jpg"]


def test_images_are_found_once(tmp_path):
    one = write_picture(tmp_path / "a.png")
    (tmp_path / "notes.txt").write_text("no image")
    assert find_images([one, tmp_path, one]) == [one]
    with pytest.raises(DataError, match=r"did you mean 'a\.png'") as raised:
        find_images([tmp_path / "aa.png"])
    assert "aa.png" in raised.value.what
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no image in this folder"):
        find_images([tmp_path / "empty"])


def test_inputs_and_strange_folders_are_never_overwritten(tmp_path):
    one = write_picture(tmp_path / "a.png")
    with pytest.raises(EvolveError, match="holds other files"):
        DetectionFolder(tmp_path, [one])
    (tmp_path / "detections.json").write_text("{}")
    with pytest.raises(EvolveError, match=r"'a\.png' would be overwritten"):
        DetectionFolder(tmp_path, [one])


def test_subfolders_are_searched_but_not_what_links_lead_out_to(tmp_path):
    home, outside = tmp_path / "home", tmp_path / "outside"
    for folder in (home / "a" / "b", outside):
        folder.mkdir(parents=True)
    inside = [write_picture(home / "a" / "b" / "x.png"), write_picture(home / "a" / "x.png")]
    strange = write_picture(outside / "y.png")
    (home / "folder").symlink_to(outside)
    (home / "loop").symlink_to(home)
    (home / "z.png").symlink_to(strange)
    (home / "again.png").symlink_to(inside[1])
    found = find_images([home])
    assert {path.resolve() for path in found} == set(inside)
    assert len(found) == 2
    assert find_images([home / "z.png"]) == [home / "z.png"]  # it is named


def test_a_folder_of_links_that_lead_out_is_told(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "x.png").symlink_to(write_picture(tmp_path / "x.png"))
    with pytest.raises(DataError, match="no image in this folder") as raised:
        find_images([tmp_path / "home"])
    assert "links that lead out" in raised.value.mend


def test_drawn_pictures_of_an_earlier_detection_are_left_out(tmp_path):
    one = write_picture(tmp_path / "a.png")
    (tmp_path / "detections").mkdir()
    drawn = write_picture(tmp_path / "detections" / "a.png")
    assert find_images([tmp_path], leave_out=tmp_path / "detections") == [one]
    assert find_images([tmp_path]) == [one, drawn]


def test_many_pictures_of_one_name_get_names_of_their_own():
    paths = [Path(f"{i}/x.jpg") for i in range(5000)]
    names = output_names(paths)
    assert names[:3] == ["x.jpg", "x-2.jpg", "x-3.jpg"]
    assert len(set(names)) == 5000


@pytest.mark.parametrize(("size", "count"), [(32, 16), (96, 16), (160, 8), (288, 2), (416, 1)])
def test_small_pictures_are_done_together(write_weights, size, count):
    config = TrainConfig(image_size=size, precision="fp32").to_dict()
    assert images_at_once(load_detector(write_weights(config=config), "cpu")) == count


def test_one_bad_picture_of_a_batch_spoils_no_other(write_weights, tmp_path):
    weights = write_weights()
    paths = [write_picture(tmp_path / f"{i}.png", seed=i) for i in range(3)]
    paths[1].write_bytes(b"no image")
    folder = DetectionFolder(tmp_path / "out", paths)
    folder.begin(load_detector(weights, "cpu"), weights, 0.0001)
    first, error, last = folder.add(paths)
    assert isinstance(error, DataError)
    assert [one["file"] for one in folder.failed] == [str(paths[1])]
    assert (first.path, last.path) == (paths[0], paths[2])
    tree = json.loads(folder.finish())
    assert [row["drawn"] for row in tree["images"]] == ["0.png", "2.png"]


def test_the_folder_holds_drawn_pictures_and_json(write_weights, tmp_path):
    weights = write_weights()
    good, bad = write_picture(tmp_path / "a.png"), tmp_path / "b.png"
    bad.write_bytes(b"")
    folder = DetectionFolder(tmp_path / "out", [good, bad])
    folder.begin(load_detector(weights, "cpu"), weights, 0.0001)
    (found,) = folder.add([good])
    (error,) = folder.add([bad])
    assert isinstance(error, DataError)
    folder.finish()
    tree = json.loads((tmp_path / "out" / "detections.json").read_text())
    assert [row["drawn"] for row in tree["images"]] == ["a.png"]
    assert len(tree["images"][0]["detections"]) == len(found.scores)
    assert tree["failed"][0]["file"] == str(bad)
    assert load_picture(tmp_path / "out" / "a.png").shape == (360, 480, 3)
