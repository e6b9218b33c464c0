"""Readers of outside data, each with a valid sample, ways to spoil it, and the call that reads it.

A target is made once on a folder; `spoil` writes one spoilt input there, `read` reads it. Nothing
but a `ModelError` (evolve's own family is one) may come out of `read`.
"""

import gzip
import json
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
import yaml

from evolve.ablation.table import bundled_tables, load_table
from evolve.analysis.matching import load_detections
from evolve.cards.card import read_card, write_card
from evolve.cards.export import card_of_run
from evolve.datasets.clean import clean
from evolve.datasets.formats.common import Unreadable
from evolve.datasets.formats.safe_xml import read_xml
from evolve.datasets.read import read_raw
from evolve.space import find_space_file, load_space
from evolve.store.folder import RunFolder
from evolve.store.journal import JournalTail, read_journal
from evolve.store.read import read_run
from evolve.store.status import StatusReader
from evolve.testing.large_run import make_large_run
from evolve.train_config import build_config
from model.build import build_from_config
from model.checkpoint import save_checkpoint
from model.config import TrainConfig
from model.darknet import load_weights, save_weights
from model.darknet_cfg.read import read_cfg
from model.darknet_cfg.recognise import recognise
from model.darknet_cfg.write import write_cfg
from model.data.coco import load_dataset
from model.detect import load_detector, load_picture
from model.errors import DataError
from tests.property.mutations import any_value, spoil_bytes, spoil_tree, spoil_words, to_json
from tests.property.test_darknet import small
from tests.tiny_data import write_tiny_coco
from tests.unit.datasets.other_formats import write_darknet, write_voc, write_yolo

NANO = {"model": "yolov4-tiny-nano", "image_size": 96}
SIZE_PX = 16
GIF = bytes.fromhex(
    "474946383961010001008000000000ffffff2c00000000010001000002024401003b"
)  # one pixel


class Target:
    """Files of one sort in a folder; by default one file whose bytes are spoilt."""

    slow = False
    """Whether one input takes more than some 20 ms: fewer are tried."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.prepare()

    def prepare(self) -> None:
        """Make the valid sample."""

    def spoil(self, rng: random.Random) -> None:
        """Write a spoilt input."""

    def read(self) -> object:
        """Read what `spoil` has written."""


class CocoFolder(Target):
    """COCO's JSON, read for a training and by the check."""

    def prepare(self) -> None:
        write_tiny_coco(self.folder / "data", {"train": 3, "val": 2}, SIZE_PX)
        self.file = self.folder / "data" / "annotations" / "train.json"
        self.text = self.file.read_bytes()

    def spoil(self, rng: random.Random) -> None:
        if rng.random() < 0.8:
            self.file.write_bytes(to_json(spoil_tree(json.loads(self.text), rng)))
        else:
            self.file.write_bytes(spoil_bytes(self.text, rng))

    def read(self) -> object:
        return load_dataset(self.folder / "data")


class CocoRaw(CocoFolder):
    """COCO's JSON as `evolve data check` and `import` read it."""

    def read(self) -> object:
        return clean(read_raw(self.folder / "data", "coco"))


class OtherFormat(Target):
    """Labels, lists, data.yaml and XML of the other formats."""

    write: Callable[[Path, Path], Path]
    name = ""

    def prepare(self) -> None:
        source = write_tiny_coco(self.folder / "coco", {"train": 2, "val": 1}, SIZE_PX)
        type(self).write(source, self.folder / "data")
        files = sorted(path for path in (self.folder / "data").rglob("*") if path.is_file())
        self.texts = {path: path.read_text() for path in files if path.suffix != ".png"}

    def spoil(self, rng: random.Random) -> None:
        for path, text in self.texts.items():
            path.write_text(text)
        path, text = rng.choice(list(self.texts.items()))
        words = ("0 0.5 0.5 nan 0.1", "../../../etc/passwd", "/etc/hostname.png")
        spoilt = spoil_words(text, rng, words) if rng.random() < 0.7 else None
        path.write_bytes(spoil_bytes(text.encode(), rng) if spoilt is None else spoilt)

    def read(self) -> object:
        return clean(read_raw(self.folder / "data", self.name))


class Yolo(OtherFormat):
    write, name = staticmethod(write_yolo), "yolo"


class Voc(OtherFormat):
    write, name = staticmethod(write_voc), "voc"


class Darknet(OtherFormat):
    write, name = staticmethod(write_darknet), "darknet"


class Xml(Target):
    """XML as such."""

    text = b"<annotation>\n <size><width>4</width></size>\n <object>&lt;</object>\n</annotation>\n"

    def spoil(self, rng: random.Random) -> None:
        (self.folder / "a.xml").write_bytes(spoil_bytes(self.text, rng))

    def read(self) -> object:
        try:
            return read_xml(self.folder / "a.xml")
        except Unreadable as error:  # which every caller tells of
            raise DataError(str(error)) from None


class YamlFile(Target):
    """A YAML file with settings, spoilt as a tree and as text."""

    suffix = ".yaml"

    def sample(self) -> str:
        raise NotImplementedError

    def prepare(self) -> None:
        self.text = self.sample()
        self.tree = yaml.safe_load(self.text)
        self.file = self.folder / f"a{self.suffix}"

    def spoil(self, rng: random.Random) -> None:
        how = rng.random()
        if how < 0.45:
            tree = spoil_tree(self.tree, rng)
            self.file.write_text(json.dumps(tree))  # nearly all JSON is YAML
        elif how < 0.85:
            self.file.write_bytes(spoil_words(self.text, rng, ("&a [*a]", "!!int x", "<<: {}")))
        else:
            self.file.write_bytes(spoil_bytes(self.text.encode(), rng))


class SpaceFile(YamlFile):
    def sample(self) -> str:
        return find_space_file("smoke.yaml").read_text()

    def read(self) -> object:
        return load_space(self.file)


class LargeSpaceFile(SpaceFile):
    slow = True

    def sample(self) -> str:
        return find_space_file("ga.yaml").read_text()


class TableFile(YamlFile):
    slow = True

    def sample(self) -> str:
        return next(path for path in bundled_tables() if path.stem == "bof").read_text()

    def read(self) -> object:
        return load_table(self.file)


class ConfigFile(YamlFile):
    def sample(self) -> str:
        return yaml.safe_dump(TrainConfig(**NANO).to_dict())

    def read(self) -> object:
        return build_config(self.file, {})


class SetOption(Target):
    """The text behind --set."""

    def spoil(self, rng: random.Random) -> None:
        key = rng.choice(("optimizer.lr", "epochs", "model", "augment.mosaic", "a..b", "", "loss"))
        value = any_value(rng)
        text = (
            value if isinstance(value, str) else repr(value)[:4000] if rng.random() < 0.5 else "x"
        )
        self.text = rng.choice((f"{key}={text}", f"{key}", f"={text}", f"{key}={text}={text}"))

    def read(self) -> object:
        return build_config(None, {}, (self.text,))


class Card(YamlFile):
    def sample(self) -> str:
        run = make_large_run(self.folder / "run", load_space(find_space_file("ga.yaml")), 30)
        write_card(card_of_run(run.path), self.folder / "card.yaml")
        return (self.folder / "card.yaml").read_text()

    def read(self) -> object:
        return read_card(self.file)


class CfgFile(Target):
    slow = True

    def prepare(self) -> None:
        config = TrainConfig().with_values(NANO)
        with torch.device("meta"):
            network = build_from_config(config, 2)
        self.file = self.folder / "net.cfg"
        write_cfg(network, config, self.file)
        self.text = self.file.read_text()

    def spoil(self, rng: random.Random) -> None:
        words = ("[yolo]", "[net]", "layers=-400", "filters=999999999999", "size=0", "mask=0,99")
        spoilt = spoil_words(self.text, rng, words)
        self.file.write_bytes(spoilt if rng.random() < 0.8 else spoil_bytes(spoilt, rng))

    def read(self) -> object:
        return recognise(read_cfg(self.file))


class WeightsFile(Target):
    def prepare(self) -> None:
        self.network = small()
        self.file = self.folder / "net.weights"
        save_weights(self.network, self.file)
        self.data = self.file.read_bytes()

    def spoil(self, rng: random.Random) -> None:
        self.file.write_bytes(spoil_bytes(self.data, rng))

    def read(self) -> object:
        return load_weights(self.network, self.file)


class Checkpoint(Target):
    """A checkpoint: its archive spoilt byte by byte, and its state by structure."""

    slow = True

    def prepare(self) -> None:
        config = TrainConfig().with_values(NANO)
        network = build_from_config(config, 2)
        self.plain = {"config": config.to_dict(), "data": "", "classes": ["a", "b"], "epoch": 0,
                      "metrics": {}}  # fmt: skip
        self.tensors = {"anchors_wh": torch.rand(6, 2), "weights": network.state_dict()}
        self.file = self.folder / "best.pt"
        save_checkpoint(self.file, self.plain | self.tensors)
        self.data = self.file.read_bytes()

    def spoil(self, rng: random.Random) -> None:
        if rng.random() < 0.4:
            self.file.write_bytes(spoil_bytes(self.data, rng))
            return
        state = {**spoil_tree(self.plain, rng), **self.tensors}
        if rng.random() < 0.5:
            self._spoil_tensors(state, rng)
        save_checkpoint(self.file, state)

    def _spoil_tensors(self, state: dict, rng: random.Random) -> None:
        odd = (
            *(torch.zeros(0), torch.zeros(3, dtype=torch.bool), torch.tensor(float("nan"))),
            *(torch.zeros(1).expand(10**4), any_value(rng), torch.zeros(2, 3).to_sparse()),
        )
        weights = dict(state["weights"])
        name = rng.choice(list(weights))
        rng.choice((
            lambda: weights.update({name: rng.choice(odd)}),
            lambda: weights.pop(name),
            lambda: weights.update({f"{name}.more": weights[name]}),
            lambda: weights.update({name: torch.full_like(weights[name], rng.choice((0, 1)))}),
        ))()  # fmt: skip
        state["weights"] = rng.choice((weights, weights, weights, rng.choice(odd)))
        state["anchors_wh"] = rng.choice((state["anchors_wh"], rng.choice(odd)))

    def read(self) -> object:
        return load_detector(self.file, "cpu")


class Picture(Target):
    """An image file of each format that OpenCV writes."""

    suffixes = (".png", ".jpg", ".webp", ".bmp", ".tiff")

    def prepare(self) -> None:
        pixels = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
        self.samples = {s: cv2.imencode(s, pixels)[1].tobytes() for s in self.suffixes}
        self.samples[".gif"] = GIF

    def spoil(self, rng: random.Random) -> None:
        suffix = rng.choice(list(self.samples))
        self.file = self.folder / f"a{suffix}"
        self.file.write_bytes(spoil_bytes(self.samples[suffix], rng))

    def read(self) -> object:
        return load_picture(self.file)


class Detections(Target):
    """detections.json.gz of a trial."""

    def prepare(self) -> None:
        one = {"image_id": 1, "boxes_xyxy_px": [[0, 0, 5, 5.5]], "scores": [0.5], "labels": [1]}
        self.tree = {"images": [one, one | {"image_id": 2}]}
        self.file = self.folder / "detections.json.gz"

    def spoil(self, rng: random.Random) -> None:
        packed = gzip.compress(to_json(spoil_tree(self.tree, rng)), 1)
        self.file.write_bytes(packed if rng.random() < 0.8 else spoil_bytes(packed, rng))

    def read(self) -> object:
        return load_detections(self.file)


class Run(Target):
    """A run folder whose files are spoilt one at a time, as `status` and reports read it."""

    slow = True

    def prepare(self) -> None:
        whole = make_large_run(self.folder / "whole", load_space(find_space_file("ga.yaml")), 12)
        _one_file(whole.study)
        self.run = RunFolder(self.folder / "run")
        shutil.copytree(whole.path, self.run.path)
        self.kept = {path: path.read_bytes() for path in self.files()}

    def files(self) -> list[Path]:
        """Files that may be spoilt."""
        return [self.run.manifest]

    def spoil(self, rng: random.Random) -> None:
        for path, data in self.kept.items():
            path.write_bytes(data)
        path = rng.choice(list(self.kept))
        path.write_bytes(self.spoilt(path, self.kept[path], rng))

    def spoilt(self, path: Path, data: bytes, rng: random.Random) -> bytes:
        """Other bytes for a file."""
        tree = to_json(spoil_tree(json.loads(data), rng))
        return tree if rng.random() < 0.85 else spoil_bytes(data, rng)

    def read(self) -> object:
        return StatusReader(self.run.path).read(), read_run(self.run.path)


class RunLines(Run):
    """journal.jsonl and metrics.jsonl."""

    def files(self) -> list[Path]:
        event = {"event": "begin", "at": 1.0, "number": 3}
        end = {"event": "end", "at": 2.5, "number": 3, "value": 0.5}
        self.run.journal.write_bytes(b"".join(to_json(one) + b"\n" for one in (event, end)))
        return [self.run.journal, *sorted(self.run.path.glob("trials/*/metrics.jsonl"))[:4]]

    def spoilt(self, path: Path, data: bytes, rng: random.Random) -> bytes:
        lines = data.splitlines(keepends=True)
        if rng.random() < 0.2 or not lines:
            return spoil_bytes(data, rng)
        at = rng.randrange(len(lines))
        spoilt = spoil_tree([json.loads(lines[at])], rng)
        rows = spoilt if isinstance(spoilt, list) else [spoilt]
        lines[at] = b"".join(to_json(one) + b"\n" for one in rows)
        return b"".join(lines)

    def read(self) -> object:
        JournalTail(self.run.journal).new()
        return list(read_journal(self.run.journal)), super().read()


class Study(Run):
    """study.db: torn, overwritten, and with rows that no Optuna would write."""

    def files(self) -> list[Path]:
        return [self.run.study]

    def spoilt(self, path: Path, data: bytes, rng: random.Random) -> bytes:
        if rng.random() < 0.4:
            page = 4096 * rng.randrange(len(data) // 4096)
            hit = data[:page] + rng.randbytes(rng.choice((1, 100, 4096))) + data[page + 4096 :]
            return rng.choice((hit, spoil_bytes(data, rng), data[:page]))
        path.write_bytes(data)
        with sqlite3.connect(path) as base:
            for _ in range(rng.choice((1, 2))):
                self._spoil_row(base, rng)
        base.close()
        _one_file(path)
        return path.read_bytes()

    def _spoil_row(self, base: sqlite3.Connection, rng: random.Random) -> None:
        asked = "select name from sqlite_master where type='table' and name like '%trial%'"
        table = rng.choice([name for (name,) in base.execute(asked)] + ["studies"])
        columns = [row[1] for row in base.execute(f"pragma table_info({table})")]
        rows = [row for (row,) in base.execute(f"select rowid from {table} limit 50")]
        if not rows:
            return
        value = any_value(rng)
        if rng.random() < 0.5 or isinstance(value, list | dict | bool):
            value = json.dumps(value)
        if isinstance(value, int) and abs(value) >= 2**63:
            value = str(value)[:400]
        if isinstance(value, str):
            value = value.encode("utf-8", "replace").decode()
        asked = f"update or ignore {table} set {rng.choice(columns)} = ? where rowid = ?"
        try:
            base.execute(asked, (value, rng.choice(rows)))
        except sqlite3.Error:
            return


def _one_file(path: Path) -> None:
    """Put a database's log into its file."""
    base = sqlite3.connect(path)
    base.execute("pragma wal_checkpoint(truncate)")
    base.execute("pragma journal_mode=delete")
    base.close()


TARGETS: dict[str, type[Target]] = {
    "coco": CocoFolder,
    "coco-check": CocoRaw,
    "yolo": Yolo,
    "voc": Voc,
    "darknet": Darknet,
    "xml": Xml,
    "space": SpaceFile,
    "large-space": LargeSpaceFile,
    "table": TableFile,
    "config": ConfigFile,
    "set": SetOption,
    "card": Card,
    "cfg": CfgFile,
    "weights": WeightsFile,
    "checkpoint": Checkpoint,
    "picture": Picture,
    "detections": Detections,
    "manifest": Run,
    "lines": RunLines,
    "study": Study,
}
