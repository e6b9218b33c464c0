"""How values of AP were measured, told by a hash."""

from dataclasses import replace

import pytest

from evolve.protocol import Protocol, differing, in_words, marks, protocol_of
from model.config import TrainConfig

MANIFEST = {
    "data": {"digest": "0f4ac1d2", "classes": ["cat", "dog"]},
    "train": TrainConfig(image_size=416).to_dict(),
    "judged_on": "test",
    "objective": "AP",
}
OURS = protocol_of(MANIFEST)


def test_a_manifest_tells_all_fields():
    assert Protocol("0f4ac1d2", ("cat", "dog"), "test", "AP", 416, False, 0.6, 0.001, 100) == OURS
    assert protocol_of(MANIFEST, split="val", metric="AP50").split == "val"
    assert protocol_of(MANIFEST, split="val", metric="AP50").metric == "AP50"


def test_the_hash_is_the_same_on_every_machine():
    assert OURS.hash == "b87c2d3d"
    assert OURS.to_dict()["hash"] == OURS.hash


@pytest.mark.parametrize(
    ("field", "value"),
    [("data", "ff"), ("classes", ("dog", "cat")), ("split", "val"), ("metric", "AP50"),
     ("image_size", 512), ("letter_box", True), ("nms_iou", 0.45), ("score_threshold", 0.01),
     ("max_detections", 300)],
)  # fmt: skip
def test_every_field_is_in_the_hash(field, value):
    other = replace(OURS, **{field: value})
    assert other.hash != OURS.hash
    assert differing(OURS, other) == (field,)
    assert differing(OURS, other, but=(field,)) == ()
    assert other.hash_without((field,)) == OURS.hash_without((field,))


@pytest.mark.parametrize(
    "tree",
    [{}, {"data": None, "train": 3}, {"data": {"digest": 5, "classes": "cat"}},
     {"train": {"nms": [], "image_size": True}}],
)  # fmt: skip
def test_a_garbled_manifest_is_not_known(tree):
    assert protocol_of(tree) == Protocol()


def test_an_automatic_size_is_told():
    assert protocol_of({"train": {"image_size": "auto"}}).image_size == "auto"


def test_those_unlike_most_get_a_mark_and_a_note():
    strict, large = replace(OURS, nms_iou=0.45), replace(OURS, image_size=512)
    signs, notes = marks({"a": strict, "b": OURS, "c": OURS, "d": large})
    assert signs == {"a": "†", "b": "", "c": "", "d": "‡"}
    assert notes == [
        f"† other NMS threshold ({strict.hash})",
        f"‡ other input size ({large.hash})",
    ]


def test_fields_may_be_let_differ():
    signs, notes = marks({"a": OURS, "b": replace(OURS, image_size=512)}, but=("image_size",))
    assert signs == {"a": "", "b": ""}
    assert notes == []
    assert marks({}) == ({}, [])


def test_marks_do_not_run_out():
    many = {n: replace(OURS, max_detections=n) for n in range(10)}
    signs, notes = marks({"usual": OURS, "too": OURS} | many)
    assert len(set(signs.values())) == 11
    assert signs[4] == "††"
    assert len(notes) == 10


def test_fields_as_people_read_them():
    assert in_words(("image_size",)) == "input size"
    assert in_words(("data", "split", "nms_iou")) == "data, split and NMS threshold"
