"""YOLO data sets: data.yaml in its many forms, label lines, and what is wrong in them."""

import pytest

from evolve.datasets.formats import yolo
from evolve.datasets.formats.yolo_labels import label_names
from model.errors import DataError
from tests.unit.data.conftest import write_picture

LINE = "0 0.5 0.5 0.25 0.5\n"


@pytest.fixture
def make(tmp_path):
    """Write files by name: a text, or a size of a picture."""

    def files(entries):
        root = tmp_path / "data"
        for name, content in entries.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, tuple):
                write_picture(path, *content)
            else:
                path.write_text(content)
        return root

    return files


def usual(yaml, label=LINE, **more):
    return {
        "images/train/a.png": (40, 30),
        "labels/train/a.txt": label,
        "images/val/b.png": (40, 30),
        "labels/val/b.txt": LINE,
        "data.yaml": yaml,
        **more,
    }


YAML = "train: images/train\nval: images/val\nnames: [cat, dog]\n"


def kinds(raw):
    return [one.kind for one in raw.findings]


def test_boxes_are_in_pixels(make):
    raw = yolo.read(make(usual(YAML)))
    (image,) = raw.splits["train"]
    assert (image.file_name, image.size_wh) == ("images/train/a.png", (40, 30))
    (box,) = image.boxes
    assert box.xywh_px == (15.0, 7.5, 10.0, 15.0)
    assert (box.where, box.category, box.annotation_id) == ("labels/train/a.txt:1", 0, None)
    assert raw.categories == {0: "cat", 1: "dog"}
    assert not raw.findings


@pytest.mark.parametrize(
    "yaml",
    [
        YAML,
        "path: .\n" + YAML,
        "train: [images/train]\nvalid: ./images/val\nnames: {0: cat, 1: dog}\n",
        "train: train.txt\nval: images/val\nnames:\n  1: dog\n  0: cat\nnc: 2\n",
    ],
)
def test_ways_to_write_the_same(make, yaml):
    raw = yolo.read(make(usual(yaml, **{"train.txt": "./images/train/a.png\n\n"})))
    assert {split: len(part) for split, part in raw.splits.items()} == {"train": 1, "val": 1}
    assert list(raw.categories.values()) == ["cat", "dog"]
    assert not raw.findings


@pytest.mark.parametrize(
    "yaml",
    [
        "path: /datasets/mine\n" + YAML,
        "path: ../datasets/mine\n" + YAML,
        YAML.replace("images/train", "../images/train").replace("images/val", "../images/val"),
        YAML.replace("images/train", "/content/data/images/train"),
        YAML.replace("images/train", "C:\\data\\images\\train"),
    ],
)
def test_paths_of_another_machine_are_found_by_their_tails(make, yaml):
    raw = yolo.read(make(usual(yaml)))
    assert {split: len(part) for split, part in raw.splits.items()} == {"train": 1, "val": 1}
    assert set(kinds(raw)) == {"path-mended"}


def test_path_names_a_folder_inside(make):
    files = {f"set/{name}": content for name, content in usual("").items() if name != "data.yaml"}
    raw = yolo.read(make({**files, "data.yaml": "path: set\n" + YAML}))
    assert [image.file_name for image in raw.splits["val"]] == ["set/images/val/b.png"]


def test_names_that_yaml_would_take_for_something_else(make):
    raw = yolo.read(make(usual(YAML.replace("[cat, dog]", "[no, 1e3, 1:30, null, 'on']"))))
    assert list(raw.categories.values()) == ["no", "1e3", "1:30", "null", "on"]


def test_a_missing_label_file_is_background(make):
    files = usual(YAML)
    del files["labels/train/a.txt"]
    raw = yolo.read(make(files))
    assert raw.splits["train"][0].boxes == ()
    assert [(one.kind, one.file) for one in raw.findings] == [("no-labels", "labels/train/a.txt")]


def test_without_any_label_file_nothing_is_read(make):
    files = {name: content for name, content in usual(YAML).items() if "labels" not in name}
    with pytest.raises(DataError, match=r"none of 2 pictures has a label file(.|\n)*labels/train"):
        yolo.read(make(files))


def test_polygons_become_boxes(make):
    raw = yolo.read(
        make(usual(YAML, "1 0.25 0.2 0.75 0.2 0.75 0.8\n0 0.1 0.1 0.2 0.1 0.2 0.2 0.1 0.2\n"))
    )
    triangle, square = raw.splits["train"][0].boxes
    assert triangle.xywh_px == pytest.approx((10, 6, 20, 18))
    assert triangle.area_px == pytest.approx(180)
    assert square.area_px == pytest.approx(square.xywh_px[2] * square.xywh_px[3])
    assert [(one.kind, one.outcome, one.file, one.item) for one in raw.findings] == [
        ("polygon", "fixed", "labels/train/a.txt", "1"),
        ("polygon", "fixed", "labels/train/a.txt", "2"),
    ]


def test_key_points_behind_a_box(make):
    line = LINE.strip() + " 0.1 0.2 2 0.3 0.4 1\n"
    raw = yolo.read(make(usual(YAML + "kpt_shape: [2, 3]\n", line)))
    assert raw.splits["train"][0].boxes[0].xywh_px == (15.0, 7.5, 10.0, 15.0)
    assert not raw.findings


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("0 0.5 0.5 0.25\n", "4 columns"),
        ("0 0.5 0.5 0.2 0.2 0.9\n", "6 columns"),
        ("cat 0.5 0.5 0.2 0.2\n", "'cat 0.5 0.5 0.2 0.2' is not all numbers"),
        ("0.5 0.5 0.5 0.2 0.2\n", "not all numbers"),
        ("0 0.5 0.5 0.2 x\n", "not all numbers"),
        ("inf 0.5 0.5 0.2 0.2\n", "not all numbers"),
    ],
)
def test_a_broken_line_is_told_of_and_left_out(make, line, told):
    raw = yolo.read(make(usual(YAML, LINE + line)))
    assert len(raw.splits["train"][0].boxes) == 1
    (finding,) = raw.findings
    assert (finding.kind, finding.outcome, finding.split) == ("line-broken", "dropped", "train")
    assert (finding.file, finding.item) == ("labels/train/a.txt", "2")
    assert told in finding.what


def test_numbers_that_are_none_are_left_to_the_cleaning(make):
    raw = yolo.read(make(usual(YAML, "7 nan 1e400 -0.5 0.2\n")))
    (box,) = raw.splits["train"][0].boxes
    assert box.category == 7
    assert not raw.findings


def test_labels_that_are_no_text(make):
    root = make(usual(YAML))
    (root / "labels/train/a.txt").write_bytes(b"0 0.5 0.5 0.2 0.2\n\xff\xfe")
    raw = yolo.read(root)
    assert "train" in raw.splits
    assert raw.splits["train"] == ()
    assert "line 2 is not UTF-8 text" in raw.findings[0].what


def test_classes_txt_without_data_yaml(make):
    files = usual("")
    del files["data.yaml"]
    files["classes.txt"] = "cat\ndog\n\n"
    raw = yolo.read(make(files))
    assert raw.categories == {0: "cat", 1: "dog"}
    assert set(raw.splits) == {"train", "val"}


def test_pictures_labels_and_classes_in_one_folder(make):
    raw = yolo.read(make({"a.png": (40, 30), "a.txt": LINE, "classes.txt": "cat\n"}))
    assert raw.reason == "there is classes.txt beside pictures"
    assert len(raw.splits[""][0].boxes) == 1


def test_split_folders_with_images_and_labels(make):
    raw = yolo.read(make({
        "train/images/a.png": (40, 30), "train/labels/a.txt": "1 0.5 0.5 0.1 0.1\n",
        "valid/images/a.png": (40, 30), "valid/labels/a.txt": LINE,
    }))  # fmt: skip
    assert [split for split, part in raw.splits.items() if part[0].boxes] == ["train", "val"]
    assert raw.categories == {0: "class 0", 1: "class 1"}
    assert kinds(raw) == ["no-names"]


def test_two_files_could_describe_it(make):
    root = make(usual(YAML, **{"other.yaml": YAML}))
    assert yolo.recognise(root) == "data.yaml names classes and images"
    (root / "data.yaml").rename(root / "mine.yaml")
    with pytest.raises(DataError, match=r"several files could describe it: mine\.yaml, other"):
        yolo.read(root)
    assert len(yolo.read(root / "mine.yaml").splits) == 2


@pytest.mark.parametrize(
    ("yaml", "told"),
    [
        ("a: [" * 3000, "nested too deeply|broken YAML"),
        ("- a\n", "no mapping"),
        ("train: [\n", r"broken YAML(.|\n)*data\.yaml:2"),
    ],
)
def test_a_yaml_that_is_none(make, yaml, told):
    with pytest.raises(DataError, match=told):
        yolo.read(make(usual(yaml)) / "data.yaml")


def test_odd_entries_are_told_of(make):
    yaml = YAML.replace("[cat, dog]", "{0: cat, x: dog, 0: cow}") + "nc: many\nkpt_shape: 3\n"
    raw = yolo.read(make(usual(yaml)))
    assert raw.categories == {0: "cat"}
    assert len([one for one in raw.findings if one.kind == "yaml"]) == 4


def test_nc_without_names(make):
    raw = yolo.read(make(usual("train: images/train\nval: images/val\nnc: 2\n")))
    assert raw.categories == {0: "class 0", 1: "class 1"}


def test_lists_may_not_lead_out(make, tmp_path):
    write_picture(tmp_path / "secret.png")
    root = make(usual("train: train.txt\nval: images/val\nnames: [cat]\n"))
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    (root / "train.txt").write_text(
        f"{tmp_path}/secret.png\n../secret.png\nlink.png\n\0\n{'x/' * 3000}\nimages/train/a.png\n"
        "images/train/a.png\n"
    )
    raw = yolo.read(root)
    assert [image.file_name for image in raw.splits["train"]] == ["images/train/a.png"]
    assert [(one.kind, one.item) for one in raw.findings] == [
        ("image-missing", "1"), ("image-missing", "2"), ("path-outside", "3"),
        ("image-missing", "4"), ("image-missing", "5"), ("listed-twice", "7"),
    ]  # fmt: skip


def test_links_in_a_folder_may_not_lead_out(make, tmp_path):
    write_picture(tmp_path / "secret.png")
    root = make(usual(YAML))
    (root / "images/train/x.png").symlink_to(tmp_path / "secret.png")
    (root / "labels/val/b.txt").unlink()
    (root / "labels/val/b.txt").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "secret.txt").write_text(LINE)
    raw = yolo.read(root)
    assert [image.file_name for image in raw.splits["train"]] == ["images/train/a.png"]
    assert raw.splits["val"][0].boxes == ()
    assert kinds(raw) == ["path-outside", "path-outside", "no-labels"]


def test_images_and_labels_may_be_links_as_a_whole(make, tmp_path):
    root = make(usual(YAML))
    for name in ("images", "labels"):
        (root / name).rename(tmp_path / name)
        (root / name).symlink_to(tmp_path / name)
    raw = yolo.read(root)
    assert [len(image.boxes) for part in raw.splits.values() for image in part] == [1, 1]


@pytest.mark.parametrize(
    ("picture", "labels"),
    [
        ("images/train/a.jpg", ["labels/train/a.txt", "images/train/a.txt"]),
        ("x/images/images/a.jpg", ["x/images/labels/a.txt", "x/images/images/a.txt"]),
        ("VOC/JPEGImages/a.jpg", ["VOC/labels/a.txt", "VOC/JPEGImages/a.txt"]),
        ("obj/a.b.jpg", ["obj/a.b.txt"]),
        ("images.jpg", ["images.txt"]),
    ],
)
def test_where_labels_are_sought(picture, labels):
    assert label_names(picture) == labels
