import dataclasses
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from model.data import digits
from model.data.coco import load_dataset
from model.data.digits import DIGITS, digits_folder, make_digits
from model.errors import DataError

SMALL = dataclasses.replace(DIGITS, counts=(24, 8, 8))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_digits(tmp_path_factory.mktemp("digits") / "set", SMALL)


def trees(folder):
    return {
        name: json.loads((folder / "annotations" / f"{name}.json").read_text())
        for name in digits.SPLITS
    }


def digest(folder):
    total = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            total.update(str(file.relative_to(folder)).encode() + file.read_bytes())
    return total.hexdigest()


def test_is_a_clean_coco_set(folder):
    data = load_dataset(folder)
    assert data.classes == DIGITS.names
    assert [len(records) for records in data.splits.values()] == [24, 8, 8]
    assert data.notes == ()
    counts = [len(r.labels) for records in data.splits.values() for r in records]
    assert min(counts) >= 1
    assert max(counts) <= DIGITS.digits[1]
    assert set(np.concatenate([r.labels for r in data.splits["train"]])) == set(range(5))


def test_two_builds_are_equal_byte_for_byte(folder, tmp_path):
    assert digest(make_digits(tmp_path / "again", SMALL)) == digest(folder)
    other = dataclasses.replace(SMALL, seed=1)
    assert digest(make_digits(tmp_path / "other", other)) != digest(folder)


def test_no_handwriting_is_in_two_splits(folder):
    samples = [
        {a["info"]["handwriting_sample"] for a in tree["annotations"]}
        for tree in trees(folder).values()
    ]
    assert all(samples)
    assert len(set.union(*samples)) == sum(map(len, samples))


def test_no_piece_of_a_photograph_is_in_two_splits(folder):
    taken: dict[str, np.ndarray] = {}
    for bit, tree in enumerate(trees(folder).values()):
        for image in tree["images"]:
            x, y, w, h = image["info"]["region_xywh"]
            area = taken.setdefault(image["info"]["photograph"], np.zeros((427, 640), int))
            area[y : y + h, x : x + w] |= 1 << bit
    assert set(taken) == {"china.jpg", "flower.jpg"}
    for area in taken.values():
        assert set(np.unique(area)) <= {0, 1, 2, 4}


def test_boxes_are_tight_about_the_ink(folder):
    """Against the same scene without its digits: the photograph's piece, contrast lowered."""
    from sklearn.datasets import load_sample_image

    for tree in trees(folder).values():
        for image in tree["images"]:
            x, y, w, h = image["info"]["region_xywh"]
            ground = load_sample_image(image["info"]["photograph"])[y : y + h, x : x + w]
            ground = ground.astype(int)
            mean = ground.mean(axis=(0, 1)).astype(int)
            ground = mean + (ground - mean) * DIGITS.ground_percent // 100
            scene = cv2.imread(str(folder / "images" / image["file_name"]))[..., ::-1]
            inked = np.abs(scene - ground).max(axis=2) > 0
            for annotation in tree["annotations"]:
                if annotation["image_id"] == image["id"]:
                    bx, by, bw, bh = annotation["bbox"]
                    part = inked[by : by + bh, bx : bx + bw]
                    edges = part[0], part[-1], part[:, 0], part[:, -1]
                    assert all(edge.any() for edge in edges)
                    inked[by : by + bh, bx : bx + bw] = False
            assert not inked.any()


def test_states_its_sources(folder):
    text = (folder / "README.txt").read_text()
    for word in ("CC BY 4.0", "CC BY 2.0", "danielbuechele", "vultilion", "scikit-learn"):
        assert word in text


def test_does_not_write_over_anything(folder):
    with pytest.raises(DataError, match=r"there is something already"):
        make_digits(folder, SMALL)
    assert not list(folder.parent.glob(".set*"))


def test_unwritable_place(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot write the set(.|\n)*EVOLVE_CACHE_DIR"):
        make_digits(tmp_path / "file" / "set", SMALL)


def test_folder_is_built_once_in_the_named_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EVOLVE_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(digits, "DIGITS", SMALL)
    first = digits_folder()
    assert first.parent == tmp_path
    assert first.name.startswith(f"digits-v{digits.VERSION}-")
    stamp = first.stat().st_mtime_ns
    assert digits_folder() == first
    assert first.stat().st_mtime_ns == stamp
    monkeypatch.setattr(digits, "DIGITS", dataclasses.replace(SMALL, seed=2))
    assert digits_folder() != first


def test_two_may_build_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("EVOLVE_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(digits, "DIGITS", SMALL)
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: digits_folder(), range(3)))
    assert len(set(found)) == 1
    assert [item.name for item in tmp_path.iterdir()] == [found[0].name]
    assert len(load_dataset(found[0]).splits["val"]) == 8
