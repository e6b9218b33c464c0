"""Labels and a detector that disagree."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import model.detect
from evolve.datasets.label_checks import label_findings
from evolve.datasets.raw import RawBox, RawDataset, RawImage
from model.errors import ConfigurationError, DataError


def box(x, y, w=10.0, h=10.0, category=1, is_crowd=False):
    return RawBox("", None, category, (x, y, w, h), is_crowd=is_crowd)


def found(*boxes):
    """What a detector gives: (x1, y1, x2, y2, score, label) each."""
    rows = np.array(boxes, dtype=np.float32).reshape(-1, 6)
    return SimpleNamespace(
        boxes_xyxy_px=rows[:, :4], scores=rows[:, 4], labels=rows[:, 5].astype(np.int64)
    )


@pytest.fixture
def findings(monkeypatch):
    """Give the findings of images with these labels and detections, all in train."""

    def told(labels, detections, classes=("cat", "dog"), broken=()):
        by_path = {Path(f"{n}.png"): one for n, one in enumerate(detections)}

        def detect(_detector, paths, _threshold, _at_once):
            if any(path.name in broken for path in paths):
                raise DataError("not an image", "", "")
            return [by_path[path] for path in paths]

        detector = SimpleNamespace(classes=classes)
        monkeypatch.setattr(model.detect, "load_detector", lambda _: detector)
        monkeypatch.setattr(model.detect, "images_at_once", lambda _: 4)
        monkeypatch.setattr(model.detect, "detect_images", detect)
        images = tuple(
            RawImage("", n, f"{n}.png", Path(f"{n}.png"), (100, 100), tuple(boxes))
            for n, boxes in enumerate(labels)
        )
        raw = RawDataset(Path(), "coco", "", {1: "cat", 7: "cow"}, {"train": images})
        return list(label_findings(raw, Path("best.pt")))

    return told


def test_what_the_detector_is_sure_of_and_nobody_labelled_is_told(findings):
    labels = [box(0, 0), box(50, 50)]
    seen = found((0, 0, 10, 10, 0.9, 0), (80, 80, 95, 95, 0.7, 0), (20, 20, 30, 30, 0.4, 0))
    (one,) = findings([labels], [seen])
    assert (one.kind, one.outcome, one.file) == ("label-forgotten", "warning", "0.png")
    assert one.what.endswith("sure of 1 object without a label: cat 0.70 at x 80-95, y 80-95")


def test_a_label_of_any_class_and_a_crowd_count_as_labels(findings):
    labels = [box(0, 0, category=7), box(40, 40, 30, 30, is_crowd=True)]
    seen = found((0, 0, 10, 10, 0.9, 0), (42, 42, 68, 68, 0.9, 0))
    assert findings([labels], [seen]) == []


def test_classes_that_the_data_have_not_are_not_asked_for(findings):
    assert findings([[box(0, 0)]], [found((80, 80, 95, 95, 0.9, 1))]) == []


def test_an_image_of_whose_labels_few_are_found_is_told(findings):
    labels = [[box(20 * n, 0) for n in range(4)]] * 2
    one, two = ((20 * n, 0, 20 * n + 10, 10, 0.2, 0) for n in (0, 1))
    (told,) = findings(labels, [found(one), found(one, two)])
    assert (told.kind, told.file) == ("label-doubtful", "0.png")
    assert told.what == "the detector finds 1 of 4 labelled boxes"


def test_labels_of_unknown_classes_and_crowds_are_not_owed(findings):
    labels = [box(20 * n, 0, category=7) for n in range(5)]
    labels += [box(20 * n, 50, is_crowd=True) for n in range(5)]
    assert findings([labels], [found()]) == []


def test_pictures_that_cannot_be_decoded_are_left_to_others(findings):
    lone = found((80, 80, 95, 95, 0.7, 0))
    (told,) = findings([[], []], [lone, lone], broken=("0.png",))
    assert told.file == "1.png"


def test_a_detector_of_other_things_is_refused(findings):
    with pytest.raises(ConfigurationError, match="none of the classes"):
        findings([[]], [found()], classes=("car",))
