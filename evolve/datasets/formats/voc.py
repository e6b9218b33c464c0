"""Pascal VOC: one XML file for each picture.

The layout of the VOC development kit (Everingham and Winn, 2007 to 2012) is ``VOC2007/`` with
``Annotations/<id>.xml``, ``JPEGImages/<id>.jpg`` and ``ImageSets/Main/{train,val,test}.txt``,
which list ids; ``trainval.txt`` is the train split where there is no ``train.txt``. XML files in
``train/``, ``valid/`` and ``test/`` beside their pictures (Roboflow), or all in one folder, are
read too. How the coordinates are taken: `voc_boxes`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from evolve.datasets.formats.common import Log, Unreadable, few, read_lines
from evolve.datasets.formats.inside import DataFolder, is_picture, names_in
from evolve.datasets.formats.safe_xml import Element, read_xml
from evolve.datasets.formats.voc_boxes import Entry, convention_of, entry_of, raw_image
from evolve.datasets.raw import RawDataset
from model.data.coco_layout import UNSPLIT, split_of
from model.data.paths import OutsideFolder
from model.errors import DataError
from model.files import is_file

NAME = "voc"
_ANNOTATIONS = ("Annotations", "annotations")
_PICTURES = ("JPEGImages", "images", "Images")
_SETS = "ImageSets/Main"
_PEEKED_BYTES = 4096


def recognise(path: Path) -> str | None:
    """Why a folder is a Pascal VOC data set; None if it is none."""
    if not path.is_dir():
        return None
    for name in _folders_of_xml(path):
        first = next(_xml_in(path / name))
        if _is_annotation(path / name / first):
            return f"there are annotations in XML, such as {_joined(name, first)}"
    return None


def read(path: Path) -> RawDataset:
    """All of it; a DataError if no annotation can be read."""
    reason = recognise(path)
    if reason is None:
        mend = "it has a folder Annotations with XML files, or XML beside pictures"
        raise DataError("no Pascal VOC data set", str(path), mend)
    reader = _Reader(path)
    entries = {split: reader.entries(names, split) for split, names in reader.plan().items()}
    entries = {split: found for split, found in entries.items() if found}
    if not entries:
        told = few([f"{one.file}: {one.what}" for one in reader.log.findings])
        raise DataError("no annotation could be read", str(path), told)
    convention = convention_of([entry for found in entries.values() for entry in found])
    reader.log.add("coordinates", "fixed", "", ("", ""), convention.told)
    splits = {
        split: tuple(raw_image(entry, convention, split, reader.log) for entry in found)
        for split, found in entries.items()
    }
    names = sorted({one.name for found in entries.values() for e in found for one in e.objects})
    categories: dict[object, str] = {name: name for name in names}
    return RawDataset(path, NAME, reason, categories, splits, tuple(reader.log.findings))


@dataclass
class _Reader:
    root: Path
    log: Log = field(default_factory=Log)

    def __post_init__(self) -> None:
        self.folder = DataFolder(self.root)
        self._pictures: dict[str, dict[str, str]] = {}

    def plan(self) -> dict[str, list[str]]:
        """Names of the XML files of each split."""
        plan: dict[str, list[str]] = {}
        for folder in _folders_of_xml(self.root):
            names = [_joined(folder, name) for name in _xml_in(self.root / folder)]
            base = folder.rpartition("/")[0] if _is_annotations(folder) else folder
            listed = self._listed(base, folder) if _is_annotations(folder) else {}
            if not listed:
                split = split_of(PurePosixPath(base).name) or UNSPLIT
                listed = {split: names}
            else:
                self._tell_unlisted(names, listed)
            for split, part in listed.items():
                plan.setdefault(split, []).extend(part)
        return plan

    def entries(self, names: list[str], split: str) -> list[Entry]:
        """What the XML files of a split say."""
        return [entry for name in names if (entry := self._entry(name, split))]

    def _entry(self, name: str, split: str) -> Entry | None:
        try:
            root = self._annotation(name)
        except (Unreadable, OutsideFolder) as error:
            self.log.add("xml-unreadable", "dropped", split, (name, ""),
                         f"the file is not read, and its picture left out: {error}")  # fmt: skip
            return None
        picture = self._picture(name, root.text_of("filename"))
        return entry_of(root, name, picture, self._located(picture, split), split, self.log)

    def _annotation(self, name: str) -> Element:
        path = self.folder.locate(name)
        if path is None:
            raise Unreadable("there is no such file")
        root = read_xml(path)
        if root.name != "annotation":
            raise Unreadable(f"it is <{root.name[:40]}>, not <annotation>")
        return root

    def _located(self, picture: str, split: str) -> Path | None:
        try:
            return self.folder.locate(picture)
        except OutsideFolder as error:
            what, mend = f"the picture is left out: {error}", "put the file itself there"
            self.log.add("path-outside", "dropped", split, (picture, ""), what, mend)
            return None

    def _picture(self, xml: str, told: str) -> str:
        """Name of the picture: that of the XML file, as the development kit has it, or as told."""
        folders = _picture_folders(xml)
        stem, told_name = PurePosixPath(xml).stem, told.replace("\\", "/").rpartition("/")[2]
        for folder in folders:
            found = self._pictures_in(folder)
            for key in (stem, told_name):
                if key in found:
                    return _joined(folder, found[key])
        return told_name or f"{stem}.jpg"

    def _pictures_in(self, folder: str) -> dict[str, str]:
        """Pictures of a folder, by name and by name without suffix."""
        if folder not in self._pictures:
            names = [name for name in names_in(self.root / folder) if is_picture(name)]
            stems = {PurePosixPath(name).stem: name for name in reversed(names)}
            self._pictures[folder] = {**stems, **{name: name for name in names}}
        return self._pictures[folder]

    def _listed(self, base: str, annotations: str) -> dict[str, list[str]]:
        """XML files by split, as the image sets list them; empty where there are none."""
        ids = {name: self._ids(_joined(base, f"{_SETS}/{name}.txt"), annotations)
               for name in ("train", "val", "test", "trainval")}  # fmt: skip
        trainval = ids.pop("trainval")
        if trainval and not ids["train"]:
            inner = set(ids["val"])
            ids["train"] = [name for name in trainval if name not in inner]
        return {split: found for split, found in ids.items() if found}

    def _ids(self, name: str, annotations: str) -> list[str]:
        """XML files of one image set, each once."""
        try:
            path = self.folder.locate(name)
            lines = read_lines(path) if path else []
        except (Unreadable, OutsideFolder) as error:
            self.log.add("list-unreadable", "dropped", "", (name, ""),
                         f"the list is not read: {error}")  # fmt: skip
            return []
        found: dict[str, None] = {}
        for line in filter(None, map(str.strip, lines)):
            whole = self.root / annotations / f"{line}.xml"
            identity = line if " " not in line or is_file(whole) else line.split()[0]
            found.setdefault(f"{annotations}/{identity}.xml")
        return list(found)

    def _tell_unlisted(self, names: list[str], listed: dict[str, list[str]]) -> None:
        known = {name for part in listed.values() for name in part}
        rest = [name for name in names if name not in known]
        if rest:
            what = f"{len(rest)} annotations are in no list of {_SETS}: {few(rest)}"
            self.log.add("unlisted", "dropped", "", (rest[0], ""), what)


def _folders_of_xml(root: Path) -> list[str]:
    """Folders with XML files, relative to `root`: Annotations first, else splits, else itself."""
    inner = [name for name in names_in(root) if (root / name).is_dir()]
    tops = ["", *inner, *(f"VOCdevkit/{name}" for name in names_in(root / "VOCdevkit"))]
    named = [
        _joined(top, name)
        for top in tops
        for name in _ANNOTATIONS
        if _holds_xml(root / top / name)
    ]
    splits = [name for name in inner if split_of(name) and _holds_xml(root / name)]
    return named or splits or [name for name in ("", *_PICTURES) if _holds_xml(root / name)]


def _holds_xml(folder: Path) -> bool:
    return next(_xml_in(folder), None) is not None


def _xml_in(folder: Path) -> Iterator[str]:
    return (name for name in names_in(folder) if name.lower().endswith(".xml"))


def _is_annotation(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return b"<annotation" in opened.read(_PEEKED_BYTES)
    except OSError:
        return False


def _is_annotations(folder: str) -> bool:
    return folder.rpartition("/")[2] in _ANNOTATIONS


def _picture_folders(xml: str) -> list[str]:
    """Where the picture of an XML file may lie."""
    folder = xml.rpartition("/")[0]
    base = folder.rpartition("/")[0]
    beside = [_joined(base, name) for name in _PICTURES]
    return [*beside, folder, base] if _is_annotations(folder) else [folder, *beside]


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
