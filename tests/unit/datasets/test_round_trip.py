"""COCO written in another format and imported again has the same boxes."""

import pytest

from evolve.datasets.clean import clean
from evolve.datasets.read import read_raw, recognise
from evolve.datasets.write import write_coco
from model.data.coco import load_dataset
from tests.unit.datasets.other_formats import read_coco, write_darknet, write_voc, write_yolo

WRITERS = {"yolo": write_yolo, "voc": write_voc, "darknet": write_darknet}


@pytest.mark.parametrize("name", WRITERS)
def test_the_same_boxes(name, coco, tmp_path):
    there = WRITERS[name](coco, tmp_path / "there")
    assert list(recognise(there)) == [name]
    back = tmp_path / "back"
    written = write_coco(clean(read_raw(there)), back)
    assert written.images == {"train": 5, "val": 3, "test": 2}
    wanted, found = read_coco(coco), read_coco(back)
    for split, images in wanted.items():
        assert set(found[split]) == set(images)
        for file_name, boxes in images.items():
            assert [label for label, _ in found[split][file_name]] == [n for n, _ in boxes]
            for (_, box), (_, was) in zip(found[split][file_name], boxes, strict=True):
                assert box == pytest.approx(was, abs=1e-3)


def test_what_is_written_is_read_without_a_word(coco, tmp_path):
    out = tmp_path / "out"
    write_coco(clean(read_raw(coco)), out)
    assert read_coco(out) == read_coco(coco)
    (note,) = load_dataset(out).notes
    assert note == "val.json: 1 images have no box: background (val_2.png)"


def test_the_same_bytes_each_time(coco, tmp_path):
    there = write_yolo(coco, tmp_path / "there")
    texts = []
    for name in ("one", "two"):
        out = tmp_path / name
        write_coco(clean(read_raw(there)), out)
        texts.append({p.name: p.read_bytes() for p in out.rglob("*") if p.is_file()})
    assert texts[0] == texts[1]
