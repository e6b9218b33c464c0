"""COCO as it is: odd entries are told of, not refused."""

import json

import pytest

from evolve.datasets.formats import coco
from model.errors import DataError
from tests.unit.data.conftest import coco_tree, write_picture


@pytest.fixture
def make(tmp_path):
    """One annotations file and its pictures; ``change(tree)`` may spoil it."""

    def write(change=bool, name="_annotations.coco.json"):
        tree = coco_tree("train")
        for entry in tree["images"]:
            write_picture(tmp_path / entry["file_name"])
        change(tree)
        (tmp_path / name).write_text(json.dumps(tree))
        return tmp_path

    return write


def told(raw):
    return [(f.kind, f.outcome, f.item) for f in raw.findings]


def test_all_of_it(make):
    raw = coco.read(make())
    first = raw.splits[""][0]
    assert (first.where, first.image_id, first.size_wh) == (
        "_annotations.coco.json: images[0]", 1, (40, 30),
    )  # fmt: skip
    assert [(b.where, b.annotation_id, b.category, b.xywh_px, b.area_px) for b in first.boxes] == [
        ("_annotations.coco.json: annotations[0]", 1, 1, (2, 3, 10, 8), 50),
        ("_annotations.coco.json: annotations[1]", 2, 2, (20, 10, 15, 12), 50),
    ]
    assert raw.categories == {1: "cat", 2: "dog"}
    assert not raw.findings


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (lambda t: t["annotations"].append(7), ("annotation-broken", "dropped", "annotations[4]")),
        (lambda t: t["annotations"][1].update(bbox="all"),
         ("bbox-broken", "dropped", "annotations[1]")),
        (lambda t: t["annotations"][1].update(bbox=[1, 2, 3, True]),
         ("bbox-broken", "dropped", "annotations[1]")),
        (lambda t: t["annotations"][1].update(image_id=99),
         ("image-unknown", "dropped", "annotations[1]")),
        (lambda t: t["annotations"][1].update(image_id=[1]),
         ("image-unknown", "dropped", "annotations[1]")),
        (lambda t: t["annotations"][1].update(image_id=True),
         ("image-unknown", "dropped", "annotations[1]")),
        (lambda t: t["annotations"][1].update(iscrowd="yes"),
         ("iscrowd", "fixed", "annotations[1]")),
        (lambda t: t["images"].append({"id": 9}), ("image-broken", "dropped", "images[2]")),
        (lambda t: t["images"].append({"file_name": "x"}),
         ("image-broken", "dropped", "images[2]")),
        (lambda t: t["images"].append(None), ("image-broken", "dropped", "images[2]")),
        (lambda t: t["categories"].append({"id": 3}),
         ("category-broken", "dropped", "categories[2]")),
        (lambda t: t["categories"].append({"id": 1, "name": "cow"}),
         ("category-conflict", "dropped", "categories[2]")),
        (lambda t: t["images"].append({"id": 3, "file_name": "../a.png"}),
         ("path-outside", "dropped", "_annotations.coco.json: images[2]")),
        (lambda t: t["images"].append({"id": 3, "file_name": "/etc/passwd"}),
         ("path-outside", "dropped", "_annotations.coco.json: images[2]")),
    ],
)  # fmt: skip
def test_odd_entries(make, change, finding):
    assert told(coco.read(make(change))) == [finding]


def test_a_polygon_stands_in_for_a_missing_box(make):
    def change(tree):
        del tree["annotations"][0]["bbox"]
        tree["annotations"][0]["segmentation"] = [[1, 2, 5, 2, 5, 9], [3, 4, 8, 4, 8, 5]]

    raw = coco.read(make(change))
    assert raw.splits[""][0].boxes[0].xywh_px == (1, 2, 7, 7)
    assert told(raw) == [("polygon", "fixed", "annotations[0]")]


@pytest.mark.parametrize(
    ("key", "value", "kept"),
    [("category_id", {"a": 1}, '{"a": 1}'), ("category_id", True, "true"), ("category_id", 2.0, 2),
     ("category_id", "2", "2"), ("category_id", None, None)],
)  # fmt: skip
def test_ids_can_be_keys(make, key, value, kept):
    raw = coco.read(make(lambda tree: tree["annotations"][0].update({key: value})))
    assert raw.splits[""][0].boxes[0].category == kept


@pytest.mark.parametrize("sides", [{"width": 0}, {"height": "30"}, {"width": 1.5}, {"width": 1e99},
                                   {"height": None}, {"width": True}])  # fmt: skip
def test_a_size_that_makes_no_sense_is_none(make, sides):
    raw = coco.read(make(lambda tree: tree["images"][0].update(sides)))
    assert raw.splits[""][0].size_wh is None


def test_a_number_beyond_floats(make):
    raw = coco.read(make(lambda t: t["annotations"][0].update(bbox=[10**400, 1, 2, 3], area="x")))
    assert raw.splits[""][0].boxes[0].xywh_px[0] == float("inf")
    assert raw.splits[""][0].boxes[0].area_px is None


def test_the_project_class_of_roboflow_goes(make):
    def change(tree):
        tree["categories"].insert(0, {"id": 0, "name": "pets", "supercategory": "none"})
        for entry in tree["categories"][1:]:
            entry["supercategory"] = "pets"

    raw = coco.read(make(change))
    assert raw.categories == {1: "cat", 2: "dog"}
    assert told(raw) == [("project-class", "fixed", "categories")]

    def use(tree):
        change(tree)
        tree["annotations"][0]["category_id"] = 0

    assert list(coco.read(make(use)).categories) == [0, 1, 2]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('{"images": [}', r"broken JSON(.|\n)*:1:13"),
        ("[" * 200_000, "broken JSON"),
        ("1" * 5000, "broken JSON"),
        ("[]", "not COCO: the file is not an object"),
        ('{"images": 1}', "not COCO: 'images' is not a list"),
        ("{}", "not COCO: 'images' is missing"),
        ('"\\ud800', "broken JSON"),
    ],
)
def test_what_is_no_coco(tmp_path, text, what):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(DataError, match=what):
        coco.read(tmp_path / "x.json")
