"""A COCO folder written in other formats, by hand and not by what is tested."""

import json
import shutil
from collections import defaultdict
from pathlib import Path

SPLITS = ("train", "val", "test")


def read_coco(root: Path) -> dict[str, dict[str, list[tuple[str, list[float]]]]]:
    """Split -> file name -> (class name, xywh) of every box, sorted."""
    found = {}
    for split in SPLITS:
        file = root / "annotations" / f"{split}.json"
        if not file.is_file():
            continue
        tree = json.loads(file.read_text())
        names = {one["id"]: one["name"] for one in tree["categories"]}
        boxes = defaultdict(list)
        for one in tree["annotations"]:
            boxes[one["image_id"]].append((names[one["category_id"]], one["bbox"]))
        found[split] = {image["file_name"]: sorted(boxes[image["id"]]) for image in tree["images"]}
    return found


def _images(root: Path):
    """Split, image entry, its boxes and class numbers from 0."""
    for split in SPLITS:
        file = root / "annotations" / f"{split}.json"
        if file.is_file():
            tree = json.loads(file.read_text())
            for image in tree["images"]:
                boxes = [one for one in tree["annotations"] if one["image_id"] == image["id"]]
                yield split, image, [(one["category_id"] - 1, one["bbox"]) for one in boxes]


def class_names(root: Path) -> list[str]:
    tree = json.loads((root / "annotations" / "train.json").read_text())
    return [one["name"] for one in tree["categories"]]


def _lines(image, boxes) -> str:
    wide, high = image["width"], image["height"]
    return "".join(
        f"{k} {(x + w / 2) / wide:.8f} {(y + h / 2) / high:.8f} {w / wide:.8f} {h / high:.8f}\n"
        for k, (x, y, w, h) in boxes
    )


def write_yolo(root: Path, out: Path) -> Path:
    """``images/<split>/``, ``labels/<split>/`` and ``data.yaml``."""
    splits = []
    for split, image, boxes in _images(root):
        for kind in ("images", "labels"):
            (out / kind / split).mkdir(parents=True, exist_ok=True)
        shutil.copy(root / "images" / image["file_name"], out / "images" / split)
        label = (out / "labels" / split / image["file_name"]).with_suffix(".txt")
        label.write_text(_lines(image, boxes))
        splits.append(split)
    names = "".join(f"  {i}: {name}\n" for i, name in enumerate(class_names(root)))
    entries = "".join(f"{split}: images/{split}\n" for split in dict.fromkeys(splits))
    (out / "data.yaml").write_text(
        f"path: .\n{entries}nc: {len(class_names(root))}\nnames:\n{names}"
    )
    return out


def write_voc(root: Path, out: Path) -> Path:
    """``VOC2007/`` as in the development kit, coordinates from 1 with both ends included."""
    base = out / "VOC2007"
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (base / name).mkdir(parents=True, exist_ok=True)
    ids, names = defaultdict(list), class_names(root)
    for split, image, boxes in _images(root):
        shutil.copy(root / "images" / image["file_name"], base / "JPEGImages")
        stem = Path(image["file_name"]).stem
        ids[split].append(stem)
        objects = "".join(
            f"<object><name>{names[k]}</name><difficult>0</difficult><bndbox>"
            f"<xmin>{x + 1}</xmin><ymin>{y + 1}</ymin><xmax>{x + w}</xmax><ymax>{y + h}</ymax>"
            "</bndbox></object>\n"
            for k, (x, y, w, h) in boxes
        )
        size = f"<size><width>{image['width']}</width><height>{image['height']}</height></size>"
        (base / "Annotations" / f"{stem}.xml").write_text(
            f"<annotation><filename>{image['file_name']}</filename>{size}\n{objects}</annotation>"
        )
    for split, stems in ids.items():
        (base / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(stems) + "\n")
    return out


def write_darknet(root: Path, out: Path) -> Path:
    """``data/obj.data`` with absolute lists of another machine; labels beside the pictures."""
    (out / "data" / "obj").mkdir(parents=True)
    listed = defaultdict(list)
    for split, image, boxes in _images(root):
        picture = out / "data" / "obj" / image["file_name"]
        shutil.copy(root / "images" / image["file_name"], picture)
        picture.with_suffix(".txt").write_text(_lines(image, boxes))
        listed[split].append(f"/home/someone/darknet/data/obj/{image['file_name']}")
    text = f"classes= {len(class_names(root))}\nnames = data/obj.names\nbackup = backup/\n"
    for split, key in (("train", "train"), ("val", "valid"), ("test", "test")):
        if listed[split]:
            (out / "data" / f"{split}.txt").write_text("\n".join(listed[split]) + "\n")
            text += f"{key} = data/{split}.txt\n"
    (out / "data" / "obj.names").write_text("\n".join(class_names(root)) + "\n")
    (out / "data" / "obj.data").write_text(text)
    return out
