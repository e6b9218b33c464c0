"""What is likely wrong with boxes and classes that can be trained on."""

from pathlib import Path

from evolve.datasets.box_checks import box_findings
from evolve.datasets.class_checks import class_findings, image_findings
from evolve.datasets.raw import RawBox, RawDataset, RawImage


def box(*xywh, category=1, **values):
    return RawBox("annotations[0]", None, category, xywh, **values)


def image(*boxes, name="a.png"):
    return RawImage("images[0]", None, name, Path(name), (100, 80), boxes)


def dataset(*images, **splits):
    named = {"train": images, **splits} if images else splits
    return RawDataset(Path(), "coco", "", {1: "cat", 2: "dog"}, named)


def kinds(findings):
    return [(one.kind, one.split) for one in findings]


def test_boxes_of_strange_sizes():
    found = box_findings(
        dataset(image(box(1, 1, 1.5, 9), box(0, 0, 100, 80), box(5, 5, 2, 2), box(0, 0, 100, 40)))
    )
    assert kinds(found) == [("box-tiny", "train"), ("box-whole-image", "train")]


def test_boxes_drawn_twice():
    boxes = box(10, 10, 40, 40), box(10, 10, 40, 40.5), box(10, 10, 40, 40.2, category=2)
    found = kinds(box_findings(dataset(image(*boxes))))
    assert sorted(kind for kind, _ in found) == [
        "box-drawn-twice", "box-of-two-classes", "box-of-two-classes"
    ]  # fmt: skip
    apart = box(10, 10, 40, 40), box(10, 10, 40, 44)  # IoU 0.91
    assert kinds(box_findings(dataset(image(*apart)))) == []


def test_crowds_alone():
    found = box_findings(dataset(image(box(0, 0, 50, 50, is_crowd=True))))
    assert kinds(found) == [("image-crowd-only", "train")]


def test_classes_that_splits_lack():
    many = image(*(box(k, 1, 5, 5) for k in range(10)))
    assert kinds(class_findings(dataset(many, val=(image(box(1, 1, 5, 5, category=2)),)))) == [
        ("class-missing", "val"),
        ("class-missing", "train"),
    ]
    assert kinds(class_findings(dataset(many, val=(many,)))) == [("class-empty", "")]
    few = image(*(box(k, 1, 5, 5, category=2) for k in range(9)))
    assert kinds(class_findings(dataset(many, few))) == [("class-rare", "train")]


def test_images_without_a_box_and_with_a_strange_name():
    found = image_findings(dataset(image(box(1, 1, 5, 5), name="a\n\u202eb.png"), image()))
    assert kinds(found) == [("name-strange", "train"), ("image-empty", "train")]
