"""Pascal VOC: coordinates, difficult objects, layouts, and XML that is not to be trusted."""

import pytest

from evolve.datasets.formats import voc
from evolve.datasets.formats.common import Unreadable
from evolve.datasets.formats.safe_xml import LIMIT_DEPTH, parse_xml
from model.errors import DataError
from tests.unit.data.conftest import write_picture


def xml(*objects, name="a.png", size="<size><width>40</width><height>30</height></size>"):
    return (
        f"<annotation><filename>{name}</filename>{size}\n" + "\n".join(objects) + "</annotation>"
    )


def thing(box, name="cat", more=""):
    x1, y1, x2, y2 = box
    return (
        f"<object><name>{name}</name>{more}<bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin>"
        f"<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
    )


@pytest.fixture
def make(tmp_path):
    """Write ``Annotations/<name>.xml`` with a picture for each."""

    def write(texts, annotations="Annotations", pictures="JPEGImages"):
        root = tmp_path / "data"
        (root / annotations).mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (root / annotations / f"{name}.xml").write_text(text)
            write_picture(root / pictures / f"{name}.png")
        return root

    return write


def boxes(raw):
    return [b.xywh_px for part in raw.splits.values() for image in part for b in image.boxes]


def test_coordinates_count_from_one_and_include_both_ends(make):
    raw = voc.read(make({"a": xml(thing((1, 1, 40, 30)), thing((5, 6, 5, 6)))}))
    assert boxes(raw) == [(0, 0, 40, 30), (4, 5, 1, 1)]
    told = raw.findings[0]
    assert (told.kind, told.outcome) == ("coordinates", "fixed")
    assert "from 1 with both ends included: 0 boxes begin in pixel 0, 1 in pixel 1" in told.what


def test_boxes_from_zero_show_that_edges_are_meant(make):
    raw = voc.read(make({"a": xml(thing((0, 0, 40, 30)), thing((5, 6, 15, 16)))}))
    assert boxes(raw) == [(0, 0, 40, 30), (5, 6, 10, 10)]
    assert "edges counted from 0" in raw.findings[0].what


def test_one_zero_among_many_ones_changes_nothing(make):
    raw = voc.read(make({"a": xml(*[thing((1, 2, 9, 9))] * 3, thing((0, 5, 9, 9)))}))
    assert boxes(raw)[-1] == (-1, 4, 10, 5)


def test_difficult_objects_are_ignored_like_crowds(make):
    marked = [thing((2, 2, 9, 9), more=f"<difficult>{one}</difficult>") for one in (1, 0)]
    raw = voc.read(make({"a": xml(*marked)}))
    assert [b.is_crowd for b in raw.splits[""][0].boxes] == [True, False]
    assert [(f.file, f.item) for f in raw.findings if f.kind == "difficult"] == [
        ("Annotations/a.xml", "2")
    ]


def test_parts_of_an_object_are_no_objects(make):
    part = "<part><name>head</name><bndbox><xmin>3</xmin></bndbox></part>"
    raw = voc.read(make({"a": xml(thing((2, 2, 9, 9), more=part))}))
    assert raw.categories == {"cat": "cat"}
    assert len(boxes(raw)) == 1


def test_image_sets(make):
    root = make({name: xml(thing((2, 2, 9, 9), name)) for name in "abcde"})
    sets = root / "ImageSets" / "Main"
    sets.mkdir(parents=True)
    (sets / "train.txt").write_text("a\nb  1\na\n")
    (sets / "val.txt").write_text("c\nmissing\n../../x\n")
    (sets / "trainval.txt").write_text("a\nb\nc\n")
    (sets / "cat_train.txt").write_text("a 1\n")
    raw = voc.read(root)
    assert {split: [i.where for i in part] for split, part in raw.splits.items()} == {
        "train": ["Annotations/a.xml", "Annotations/b.xml"], "val": ["Annotations/c.xml"],
    }  # fmt: skip
    assert sorted((f.kind, f.file) for f in raw.findings) == [
        ("coordinates", ""), ("unlisted", "Annotations/d.xml"),
        ("xml-unreadable", "Annotations/../../x.xml"),
        ("xml-unreadable", "Annotations/missing.xml"),
    ]  # fmt: skip


def test_trainval_is_train_where_there_is_no_train(make):
    root = make({name: xml(thing((2, 2, 9, 9))) for name in "ab"})
    (root / "ImageSets" / "Main").mkdir(parents=True)
    (root / "ImageSets" / "Main" / "trainval.txt").write_text("a\n" + "x " * 200)
    (root / "ImageSets" / "Main" / "test.txt").write_text("b\n")
    assert list(voc.read(root).splits) == ["train", "test"]


@pytest.mark.parametrize(
    ("annotations", "pictures"),
    [("", ""), ("annotations", "images"), ("Annotations", ""), ("images", "images"),
     ("Annotations", "Annotations")],
)  # fmt: skip
def test_loose_layouts(make, annotations, pictures):
    raw = voc.read(make({"a": xml(thing((2, 2, 9, 9)))}, annotations, pictures))
    (image,) = raw.splits[""]
    assert image.path is not None
    assert image.size_wh == (40, 30)


def test_roboflow(make):
    root = make({"a": xml(thing((2, 2, 9, 9)))}, "train", "train")
    make({"b": xml(thing((2, 2, 9, 9)))}, "valid", "valid")
    assert {split: part[0].file_name for split, part in voc.read(root).splits.items()} == {
        "train": "train/a.png", "val": "valid/b.png",
    }  # fmt: skip


def test_the_file_name_is_sought_where_the_id_finds_nothing(make):
    root = make({"a": xml(thing((2, 2, 9, 9)), name="C:\\pictures\\other.png")})
    (root / "JPEGImages" / "a.png").rename(root / "JPEGImages" / "other.png")
    assert voc.read(root).splits[""][0].file_name == "JPEGImages/other.png"


@pytest.mark.parametrize("name", ["../../secret.png", "/etc/passwd", "gone.png", ""])
def test_a_picture_is_never_sought_outside(make, name, tmp_path):
    write_picture(tmp_path / "secret.png")
    root = make({"a": xml(thing((2, 2, 9, 9)), name=name)})
    (root / "JPEGImages" / "a.png").unlink()
    assert voc.read(root).splits[""][0].path is None


@pytest.mark.parametrize("size", ["", "<size><width>0</width><height>0</height></size>",
                                  "<size><width>-4</width><height>x</height></size>"])  # fmt: skip
def test_a_size_that_makes_no_sense_is_none(make, size):
    assert voc.read(make({"a": xml(thing((2, 2, 9, 9)), size=size)})).splits[""][0].size_wh is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("<object><name>cat</name></object>", "'cat' has no bndbox"),
        (thing((1, 2, "x", 4)), "xmax is 'x', not a number"),
        (thing((1, 2, "", 4)), "xmax is '', not a number"),
        (thing((1, 2, 3, 4), ""), "it has no name"),
    ],
)
def test_a_broken_object_is_told_of_with_its_line(make, text, told):
    raw = voc.read(make({"a": xml(thing((2, 2, 9, 9)), text)}))
    finding = raw.findings[0]
    assert (finding.kind, finding.file, finding.item) == (
        "object-broken",
        "Annotations/a.xml",
        "3",
    )
    assert told in finding.what
    assert len(boxes(raw)) == 1


def test_a_broken_file_is_told_of_and_left_out(make):
    good = xml(thing((2, 2, 9, 9)))
    raw = voc.read(make({"a": good, "b": "<annotation>\n<object>", "c": "<svg></svg>"}))
    assert [i.where for i in raw.splits[""]] == ["Annotations/a.xml"]
    assert [(f.file, f.what.split(": ", 1)[1]) for f in raw.findings[:2]] == [
        ("Annotations/b.xml", "it is broken XML: no element found in line 2"),
        ("Annotations/c.xml", "it is <svg>, not <annotation>"),
    ]


def test_nothing_readable_is_an_error(make):
    with pytest.raises(DataError, match=r"no annotation could be read(.|\n)*broken XML"):
        voc.read(make({"a": "<annotation>"}))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "DOCTYPE"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "DOCTYPE"),
        (b"<a>&b;</a>", "undefined entity"),
        (b"<a>" * (LIMIT_DEPTH + 1), f"more than {LIMIT_DEPTH} levels"),
        (b"<a>" + b"<b/>" * 200_001 + b"</a>", "more than 200,000 elements"),
        (b'<?xml version="1.0" encoding="nothing"?><a/>', "encoding"),
        (b"<a>\xff</a>", "broken XML"),
        (b"", "no element"),
    ],
)
def test_hostile_xml(data, told):
    with pytest.raises(Unreadable, match=told):
        parse_xml(data)


def test_text_and_lines():
    root = parse_xml("<a>\n<b> é&lt; </b>\n<b/></a>".encode())
    assert [(one.name, one.line) for one in root.all("b")] == [("b", 2), ("b", 3)]
    assert root.text_of("b") == "é<"
    assert root.text_of("c") == ""
