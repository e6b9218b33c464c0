"""Pictures with a class: from folders, and from the boxes of a detection data set."""

import struct

import cv2
import numpy as np
import pytest

from model.data.cache import ImageCache
from model.data.classes import ClassSample, class_counts, crops_of, load_class_data
from model.data.coco import load_dataset
from model.data.headers import upright_size_wh
from model.errors import DataError
from tests.unit.data.conftest import write_picture


@pytest.fixture
def folders(tmp_path):
    """Two classes, four pictures to train on and two to measure on."""
    root = tmp_path / "animals"
    for index, name in enumerate(
        ["train/cat/1.png", "train/cat/2.jpg", "train/dog/1.png", "train/dog/deep/2.png",
         "val/cat/3.png", "val/dog/3.png"]
    ):  # fmt: skip
        write_picture(root / name, 40, 30 + index, seed=index)
    return root


def refuse(path, *texts):
    with pytest.raises(DataError) as caught:
        load_class_data(path)
    for text in texts:
        assert text in str(caught.value)


def test_folders_are_classes_and_splits(folders):
    data = load_class_data(folders)
    assert data.classes == ("cat", "dog")
    assert [(s.record.file_name, s.label) for s in data.splits["train"]] == [
        ("train/cat/1.png", 0), ("train/cat/2.jpg", 0), ("train/dog/1.png", 1),
        ("train/dog/deep/2.png", 1),
    ]  # fmt: skip
    assert [s.size_wh for s in data.splits["val"]] == [(40, 34), (40, 35)]
    assert data.notes == ("no folder 'test': there is no test split",)
    assert class_counts(data.splits["train"], 3).tolist() == [2, 2, 0]


def test_digest_tells_other_pictures_and_classes(folders):
    first = load_class_data(folders).digest
    assert load_class_data(folders).digest == first
    (folders / "val" / "cat" / "3.png").rename(folders / "val" / "dog" / "4.png")
    moved = load_class_data(folders).digest
    write_picture(folders / "train" / "cat" / "1.png", 50, 50)
    assert len({first, moved, load_class_data(folders).digest}) == 3


def test_a_folder_of_classes_is_split_by_hash(tmp_path):
    for name in ("cat", "dog"):
        for number in range(20):
            write_picture(tmp_path / name / f"{number}.png", seed=number)
    data, again = load_class_data(tmp_path, seed=3), load_class_data(tmp_path, seed=3)
    names = {k: [s.record.file_name for s in v] for k, v in data.splits.items()}
    assert names == {k: [s.record.file_name for s in v] for k, v in again.splits.items()}
    assert sum(map(len, names.values())) == 40
    assert len(names["train"]) > len(names["val"]) > 0
    assert data.notes[0].startswith("the pictures were split by a hash of seed 3 and file name: ")
    for split in data.splits.values():
        assert all(data.classes[s.label] == s.record.path.parent.name for s in split)
    other = load_class_data(tmp_path, seed=4)
    assert other.digest != data.digest


def test_train_and_val_may_be_classes(tmp_path):
    for number in range(20):
        write_picture(tmp_path / "train" / f"{number}.png")
        write_picture(tmp_path / "val" / f"{number}.png")
    assert load_class_data(tmp_path).classes == ("train", "val")


def test_other_files_are_told_of_and_hidden_ones_are_not(folders):
    (folders / "train" / "cat" / "notes.txt").write_text("x")
    (folders / "train" / "cat" / ".DS_Store").write_text("x")
    (folders / ".git").mkdir()
    data = load_class_data(folders)
    assert data.notes[0] == "train: 1 files are no pictures and were left out (notes.txt)"


def test_val_is_needed(folders):
    (folders / "val").rename(folders / "validation")
    refuse(folders, "there is no folder 'val' beside 'train'", str(folders))


def test_a_class_needs_pictures_to_train_on(folders):
    (folders / "train" / "owl").mkdir()
    refuse(folders, "these classes have no picture to train on: owl", str(folders / "train"))


def test_val_cannot_have_a_class_of_its_own(folders):
    write_picture(folders / "val" / "owl" / "1.png")
    refuse(folders, "val holds classes that train does not: owl", "train has: cat, dog")


def test_one_class_is_not_enough(tmp_path):
    for split in ("train", "val"):
        write_picture(tmp_path / split / "cat" / "1.png")
    refuse(tmp_path, "there is only one class to train on, 'cat'", "give at least two")


def test_val_needs_pictures(folders):
    for name in ("cat", "dog"):
        (folders / "val" / name / "3.png").unlink()
    refuse(folders, "there is nothing in val to measure on")


@pytest.mark.parametrize("content", [b"", b"GIF8", b"\xff\xd8\xff\xe0\x00", b"no picture at all"])
def test_a_file_that_is_no_picture_is_named(folders, content):
    path = folders / "train" / "dog" / "bad.jpg"
    path.write_bytes(content)
    refuse(folders, "not an image of a known format", str(path))


def test_a_picture_cut_short_is_named_when_it_is_decoded(folders):
    path = folders / "train" / "cat" / "1.png"
    path.write_bytes(path.read_bytes()[:200])
    sample = load_class_data(folders).splits["train"][0]
    with pytest.raises(DataError, match="cut short") as caught:
        sample.picture(ImageCache(0))
    assert caught.value.where == str(path)


def test_links_may_not_lead_out(folders, tmp_path):
    write_picture(tmp_path / "secret.png")
    (folders / "train" / "cat" / "3.png").symlink_to(tmp_path / "secret.png")
    refuse(folders, "a link leads out of the data folder, to", "3.png")


def test_linked_class_folders_are_refused(folders, tmp_path):
    write_picture(tmp_path / "owls" / "1.png")
    (folders / "train" / "owl").symlink_to(tmp_path / "owls")
    refuse(folders, "a link leads out of the data folder, to", "owl")


def test_a_folder_linked_into_itself_is_refused(folders):
    (folders / "train" / "cat" / "again").symlink_to(folders / "train" / "cat")
    refuse(folders, "a link stands for a folder", "again")


def test_dangling_links_are_named(folders):
    (folders / "train" / "cat" / "gone.png").symlink_to(folders / "train" / "cat" / "0.png")
    refuse(folders, "a link leads to nothing", "gone.png")


def test_links_inside_and_to_a_whole_split_are_followed(folders, tmp_path):
    (folders / "train" / "cat" / "same.png").symlink_to("1.png")
    (folders / "val").rename(tmp_path / "elsewhere")
    (folders / "val").symlink_to(tmp_path / "elsewhere")
    data = load_class_data(folders)
    assert len(data.splits["train"]) == 5
    assert len(data.splits["val"]) == 2


def jpeg_on_its_side(width, height, orientation):
    ok, packed = cv2.imencode(".jpg", np.zeros((height, width, 3), np.uint8))
    assert ok
    tiff = struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, 274, 3, 1, orientation, 0, 0)
    exif = b"Exif\0\0" + tiff
    data = packed.tobytes()
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]


@pytest.mark.parametrize(("orientation", "size"), [(1, (40, 30)), (3, (40, 30)), (6, (30, 40))])
def test_pictures_are_upright(folders, orientation, size):
    data = jpeg_on_its_side(40, 30, orientation)
    assert upright_size_wh(data) == size
    (folders / "train" / "cat" / "2.jpg").write_bytes(data)
    sample = load_class_data(folders).splits["train"][1]
    assert sample.size_wh == size
    assert sample.picture(ImageCache(0)).shape == (*size[::-1], 3)


@pytest.mark.parametrize("at", [16, 20])
def test_a_torn_exif_leaves_the_size_as_stored(at):
    """Its directory lies beyond the end, or has more entries than there are bytes."""
    whole = jpeg_on_its_side(40, 30, 6)
    assert upright_size_wh(whole[:at] + b"\xff\xff" + whole[at + 2 :]) == (40, 30)


def test_boxes_become_crops(write_coco):
    def change(trees):
        trees["train"]["annotations"][0]["bbox"] = [2.4, 3.9, 10.2, 8]
        trees["train"]["annotations"][1]["iscrowd"] = 1
        trees["val"]["annotations"][1]["bbox"] = [20, 10, 3, 12]

    dataset = load_dataset(write_coco(change))
    data = crops_of(dataset)
    assert data.classes == ("cat", "dog")
    assert [(s.crop_xyxy_px, s.label) for s in data.splits["train"]] == [
        ((2, 3, 13, 12), 0), ((2, 3, 12, 11), 0), ((20, 10, 35, 22), 1),
    ]  # fmt: skip
    assert len(data.splits["val"]) == 3
    assert "val: 1 of 4 boxes are under 4 px wide or high: not cut out" in data.notes
    assert data.digest != dataset.digest


def test_a_crop_is_a_view_of_the_picture_held(write_coco):
    sample = crops_of(load_dataset(write_coco())).splits["train"][1]
    cache = ImageCache(10**6)
    whole = cache.get(sample.record)
    shown = sample.picture(cache)
    assert np.shares_memory(shown, whole)
    np.testing.assert_array_equal(shown, whole[10:22, 20:35])


def test_crops_follow_a_picture_that_is_held_smaller(write_coco):
    sample = crops_of(load_dataset(write_coco())).splits["train"][1]  # of 40 x 30: 20, 10, 35, 22
    assert sample.picture(ImageCache(0, max_side=20)).shape == (6, 8, 3)
    assert (sample.held_wh(20), sample.held_wh(None)) == ((8, 6), (15, 12))
    tiny = ClassSample(sample.record, 0, (0, 0, 4, 4))
    assert tiny.picture(ImageCache(0, max_side=2)).shape == (1, 1, 3)


def test_detection_data_of_one_class_are_refused(write_coco):
    def change(trees):
        for tree in trees.values():
            for entry in tree["annotations"]:
                entry["category_id"] = 2

    root = write_coco(change)
    refuse(root, "there is only one class to train on, 'dog'", str(root))


def test_pictures_alone_have_no_classes(folders):
    folder = folders / "val" / "cat"
    refuse(folder, "there are neither folders of classes nor COCO annotations", str(folder))


def test_what_is_not_there_is_told_as_for_detection_data(tmp_path):
    refuse(tmp_path / "nowhere", "no data set at")
