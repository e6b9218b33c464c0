import json
import shutil

import numpy as np
import pytest

from model.data.coco import load_dataset
from model.errors import DataError


def spoil(split, *path, **values):
    """A change that updates the entry at `path` of a split."""

    def change(trees):
        node = trees[split]
        for key in path:
            node = node[key]
        node.update(values)

    return change


def test_reads_boxes_labels_and_areas(write_coco):
    data = load_dataset(write_coco())
    first = data.splits["train"][0]
    assert data.classes == ("cat", "dog")
    assert data.category_ids == (1, 2)
    assert list(data.splits) == ["train", "val", "test"]
    assert (first.image_id, first.width, first.height) == (1, 40, 30)
    np.testing.assert_array_equal(first.boxes_xyxy_px, [[2, 3, 12, 11], [20, 10, 35, 22]])
    assert first.boxes_xyxy_px.dtype == np.float32
    np.testing.assert_array_equal(first.labels, [0, 1])
    np.testing.assert_array_equal(first.areas, [50, 50])
    assert not first.crowd.any()
    assert data.notes == ()


def test_categories_are_the_union_and_labels_contiguous(write_coco):
    def change(trees):
        trees["val"]["categories"].append({"id": 90, "name": "owl"})
        trees["val"]["annotations"][0]["category_id"] = 90

    data = load_dataset(write_coco(change))
    assert data.category_ids == (1, 2, 90)
    assert data.splits["val"][0].labels.tolist() == [2, 1]
    assert "train: no box of owl" in data.notes


def test_test_split_may_be_missing(write_coco):
    data = load_dataset(write_coco(splits=("train", "val")))
    assert list(data.splits) == ["train", "val"]
    assert any("no test split" in note for note in data.notes)


@pytest.mark.parametrize("folder", ["images/{}", "{}"])
def test_pictures_may_lie_in_a_folder_of_their_split(write_coco, folder):
    root = write_coco()
    for split in ("train", "val", "test"):
        target = root / folder.format(split)
        target.mkdir(exist_ok=True)
        for file in (root / "images").glob(f"{split}_*.png"):
            file.rename(target / file.name)
    assert len(load_dataset(root).splits["val"]) == 2


def test_digest_follows_annotations_and_pictures(write_coco, tmp_path):
    root = write_coco()
    before = load_dataset(root).digest
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    assert load_dataset(copy).digest == before
    picture = copy / "images" / "train_1.png"
    picture.write_bytes(picture.read_bytes() + b"\0")
    assert load_dataset(copy).digest != before
    file = root / "annotations" / "val.json"
    file.write_text(file.read_text() + " ")
    assert load_dataset(root).digest != before


def test_missing_path_names_the_nearest(write_coco):
    root = write_coco()
    with pytest.raises(DataError, match=r"did you mean 'set'"):
        load_dataset(root.with_name("sett"))


def test_missing_split_file(write_coco):
    with pytest.raises(DataError, match=r"annotations/val\.json is missing"):
        load_dataset(write_coco(splits=("train",)))


def test_broken_json_has_line_and_column(write_coco):
    root = write_coco()
    (root / "annotations" / "val.json").write_text('{"images": [],\n  "annotations": }')
    with pytest.raises(DataError, match=r"broken JSON(.|\n)*val\.json:2:18"):
        load_dataset(root)


@pytest.mark.parametrize("key", ["images", "annotations", "categories"])
def test_missing_list(write_coco, key):
    with pytest.raises(DataError, match=rf"not COCO: '{key}' is missing"):
        load_dataset(write_coco(lambda trees: trees["train"].pop(key)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.update(train=[1]), r"not COCO: the file is not an object"),
        (lambda t: t["train"].update(images={}), r"'images' is not a list"),
        (lambda t: t["train"]["images"].append(7), r"7 is not an object"),
        (spoil("train", "images", 0, id="one"), r"id 'one' is not a whole number"),
        (spoil("train", "images", 0, width=0), r"width 0 is not a positive number"),
        (spoil("train", "images", 0, file_name=3), r"file_name 3 is not text"),
        (spoil("train", "images", 0, id=2), r"image id 2 is there twice"),
        (spoil("train", "images", 0, file_name="train_2.png"), r"'train_2.png' is there twice"),
        (spoil("train", "annotations", 0, image_id=99), r"no image with id 99(.|\n)*\(id 1\)"),
        (spoil("val", "annotations", 1, category_id=5), r"no category 5(.|\n)*val(.|\n)*\(id 2\)"),
        (spoil("train", "annotations", 0, bbox=[1, 2, 3]), r"is not four numbers"),
        (spoil("train", "annotations", 0, bbox=["1", 2, 3, 4]), r"is not four numbers"),
        (spoil("train", "annotations", 0, iscrowd="no"), r"neither 0 nor 1"),
        (spoil("val", "categories", 0, name="cow"), r"'cat' in one split and 'cow' in another"),
        (spoil("val", "categories", 0, name="dog"), r"category 2 'dog' is there twice"),
        (lambda t: t["train"].update(annotations=[]), r"no annotations at all"),
        (lambda t: t["train"].update(images=[]), r"there are no images"),
        (lambda t: t["train"].update(categories=[]), r"there is no category"),
    ],
)
def test_bad_annotations(write_coco, change, message):
    with pytest.raises(DataError, match=message):
        load_dataset(write_coco(change))


def test_one_name_with_two_ids_over_the_splits(write_coco):
    def change(trees):
        for annotation in trees["val"]["annotations"]:
            annotation["category_id"] = 7
        trees["val"]["categories"] = [{"id": 7, "name": "cat"}]

    with pytest.raises(DataError, match=r"different ids to cat"):
        load_dataset(write_coco(change))


def test_missing_pictures_are_counted_and_named(write_coco):
    root = write_coco(count=5)
    for number in range(1, 6):
        (root / "images" / f"train_{number}.png").unlink()
    with pytest.raises(DataError, match=r"5 of 5 image files are missing: .* and 2 more"):
        load_dataset(root)


@pytest.mark.parametrize(
    "name", ["../set/images/train_1.png", "/etc/passwd", "a/../../x.png", r"..\x.png", r"C:\x.png"]
)
def test_file_name_may_not_leave_the_folder(write_coco, name):
    with pytest.raises(DataError, match=r"leaves the data folder"):
        load_dataset(write_coco(spoil("train", "images", 0, file_name=name)))


def test_link_may_not_leave_the_folder(write_coco, tmp_path):
    root = write_coco()
    picture = root / "images" / "train_1.png"
    picture.rename(tmp_path / "elsewhere.png")
    picture.symlink_to(tmp_path / "elsewhere.png")
    with pytest.raises(DataError, match=r"a link leads to"):
        load_dataset(root)


def test_linked_folder_inside_images_may_not_leave_it(write_coco, tmp_path):
    root = write_coco(spoil("train", "images", 0, file_name="deep/train_1.png"))
    (tmp_path / "outside").mkdir()
    (root / "images" / "train_1.png").rename(tmp_path / "outside" / "train_1.png")
    (root / "images" / "deep").symlink_to(tmp_path / "outside")
    with pytest.raises(DataError, match=r"a link leads to"):
        load_dataset(root)


def test_images_as_a_whole_may_be_a_link(write_coco, tmp_path):
    root = write_coco()
    (root / "images").rename(tmp_path / "store")
    (root / "images").symlink_to(tmp_path / "store")
    assert len(load_dataset(root).splits["train"]) == 2


@pytest.mark.parametrize(
    ("box", "note"),
    [
        ([float("nan"), 1, 5, 5], r"1 boxes with a NaN"),
        ([1, 1, 0, 5], r"without width or height"),
        ([1, 1, 5, -5], r"without width or height"),
        ([10**400, 1, 5, 5], r"1 boxes with a NaN"),
        ([50, 1, 5, 5], r"1 boxes wholly outside"),
    ],
)
def test_boxes_without_sense_are_left_out_with_a_note(write_coco, box, note):
    data = load_dataset(write_coco(spoil("train", "annotations", 0, bbox=box)))
    assert data.splits["train"][0].labels.tolist() == [1]
    assert note.replace("\\", "") in data.notes[0]


def test_boxes_are_clipped_with_a_note(write_coco):
    data = load_dataset(write_coco(spoil("train", "annotations", 0, bbox=[-3, 25, 10, 10])))
    assert data.splits["train"][0].boxes_xyxy_px[0].tolist() == [0, 25, 7, 30]
    assert "1 boxes were clipped to their image (id 1)" in data.notes[0]


@pytest.mark.parametrize("number", [0, 2, None])
def test_annotation_ids_that_pycocotools_mistakes_are_noted(write_coco, number):
    data = load_dataset(write_coco(spoil("train", "annotations", 0, id=number)))
    assert "numbered anew" in data.notes[0]
    assert len(data.splits["train"][0].labels) == 2


def test_crowd_and_background_are_noted(write_coco):
    def change(trees):
        trees["train"]["annotations"][0]["iscrowd"] = 1
        trees["val"]["annotations"] = trees["val"]["annotations"][:2]
        del trees["val"]["annotations"][0]["area"]

    data = load_dataset(write_coco(change))
    assert data.splits["train"][0].crowd.tolist() == [True, False]
    assert data.splits["val"][0].areas.tolist() == [80, 50]
    assert data.splits["val"][1].boxes_xyxy_px.shape == (0, 4)
    text = "\n".join(data.notes)
    for words in ("1 crowd boxes are not trained on", "1 images have no box", "have no area"):
        assert words in text


def test_picture_in_two_splits_is_noted(write_coco):
    data = load_dataset(write_coco(spoil("val", "images", 0, file_name="train_1.png")))
    assert any("train and val share train_1.png" in note for note in data.notes)


@pytest.mark.parametrize("place", ["images", ".", "../images"])
def test_single_file_finds_its_pictures(write_coco, tmp_path, place):
    root = write_coco(splits=("train",), count=40)
    file = tmp_path / "one" / "all.json"
    target = file.parent / place
    file.parent.mkdir()
    (root / "annotations" / "train.json").rename(file)
    shutil.copytree(root / "images", target, dirs_exist_ok=True)
    data = load_dataset(file)
    assert sum(map(len, data.splits.values())) == 40
    assert "was split by a hash of seed 0" in data.notes[0]


def test_split_of_a_single_file_is_seeded_and_stable(write_coco):
    def names(data):
        return {split: {r.file_name for r in records} for split, records in data.splits.items()}

    root = write_coco(splits=("train",), count=60)
    file = root / "annotations" / "train.json"
    tree = json.loads(file.read_text())
    whole = names(load_dataset(file))
    assert names(load_dataset(file)) == whole
    assert names(load_dataset(file, seed=1)) != whole
    kept = tree["images"][:50]
    tree["images"] = kept
    tree["annotations"] = [a for a in tree["annotations"] if a["image_id"] <= 50]
    file.write_text(json.dumps(tree))
    fewer = names(load_dataset(file))
    remaining = {entry["file_name"] for entry in kept}
    assert fewer == {split: found & remaining for split, found in whole.items()}


def test_single_file_too_small_to_split(write_coco):
    root = write_coco(splits=("train",), count=1)
    with pytest.raises(DataError, match=r"1 images leave '(train|val)' empty"):
        load_dataset(root / "annotations" / "train.json")


def test_shares_must_sum_to_one(write_coco):
    file = write_coco() / "annotations" / "train.json"
    with pytest.raises(DataError, match=r"do not sum to 1"):
        load_dataset(file, fractions=(0.5, 0.2, 0.2))
