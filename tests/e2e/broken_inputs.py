"""Broken inputs, and what the commands say to them: ``python -m tests.e2e.broken_inputs``.

Every case makes its input in a folder of its own and runs the command line there. With
``--markdown`` the table is the page docs/messages.md, which a test holds up to date.
"""

import argparse
import contextlib
import io
import json
import os
import pickle
import shlex
import struct
import sys
import tempfile
import traceback
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.tiny_data import write_tiny_coco

Make = Callable[[Path], object]

HEAD = """# What evolve says to broken input

Each of these ends with the exit code that is shown, and leaves nothing behind. The page is made by
`python -m tests.e2e.broken_inputs --markdown`.
"""
ROOT = Path(__file__).parents[2]
SIDE_PX = 16
SPACE = (
    "parameters:\n  optimizer.lr: {type: float, low: 0.001, high: 0.1, default: 0.01, why: x}\n"
)


@dataclass(frozen=True)
class Case:
    """A broken input: its title and group, how it is made, and the command that meets it."""

    group: str
    title: str
    arguments: tuple[str, ...]
    make: Make = lambda _: None
    code: int = 2


@dataclass(frozen=True)
class Told:
    """How a command ended: exit code, and all that it printed."""

    code: int
    said: str


def coco(change: Callable[[dict[str, Any]], object]) -> Make:
    """A COCO folder whose train.json is changed."""

    def make(folder: Path) -> None:
        root = write_tiny_coco(folder / "data", {"train": 3, "val": 2}, SIDE_PX)
        file = root / "annotations" / "train.json"
        tree = json.loads(file.read_text())
        change(tree)
        file.write_text(json.dumps(tree))

    return make


def coco_file(text: str | bytes, name: str = "annotations/train.json") -> Make:
    """A COCO folder with another content of one of its files."""

    def make(folder: Path) -> None:
        root = write_tiny_coco(folder / "data", {"train": 3, "val": 2}, SIDE_PX)
        _write(root / name, text)

    return make


def files(**texts: str | bytes) -> Make:
    """Files by name; ``__`` stands for a slash and ``_dot_`` for a point."""

    def make(folder: Path) -> None:
        for name, text in texts.items():
            _write(folder / name.replace("__", "/").replace("_dot_", "."), text)

    return make


def _write(path: Path, text: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


def _first(tree: dict[str, Any], part: str, **values: Any) -> None:
    tree[part][0].update(values)


def _boxes(*box: float) -> Make:
    """All boxes of train are this one."""
    return coco(lambda tree: [one.update(bbox=list(box)) for one in tree["annotations"]])


def _entry(part: str, **values: Any) -> Make:
    return coco(lambda tree: _first(tree, part, **values))


def _link_out(folder: Path) -> None:
    root = write_tiny_coco(folder / "data", {"train": 3, "val": 2}, SIDE_PX)
    (root / "images" / "train_1.png").unlink()
    (root / "images" / "train_1.png").symlink_to("/etc/hostname")


def _cut_short(folder: Path) -> None:
    root = write_tiny_coco(folder / "data", {"train": 3, "val": 2}, SIDE_PX)
    picture = root / "images" / "train_2.png"
    picture.write_bytes(picture.read_bytes()[:-20])


def _bomb(folder: Path) -> None:
    root = write_tiny_coco(folder / "data", {"train": 1, "val": 1}, SIDE_PX)
    picture = root / "images" / "train_1.png"
    data = bytearray(picture.read_bytes())
    data[16:24] = struct.pack(">II", 50_000, 50_000)
    picture.write_bytes(bytes(data))


def _class_folders(folder: Path) -> None:
    root = write_tiny_coco(folder / "coco", {"train": 1, "val": 1}, SIDE_PX)
    for name in ("cat", "dog"):
        (folder / "data" / name).mkdir(parents=True)
        (root / "images" / f"{'train' if name == 'cat' else 'val'}_1.png").rename(
            folder / "data" / name / "a.png"
        )


def _two_formats(folder: Path) -> None:
    coco(lambda _: None)(folder)
    _write(folder / "data" / "data.yaml", "train: images\nnames: [a]\n")


class _Runs:
    """Unpickled it would run a command."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch pwned",)


def _unwritable(folder: Path) -> None:
    files(space_dot_yaml=SPACE, curve__a="", out="a file\n")(folder)


RUN = ("run", "--space", "space.yaml", "--trainer", "curve", "--data", "curve", "--engine",
       "inline", "--trials", "2", "--out", "out")  # fmt: skip
TRAIN = ("train", "--data", "data", "--epochs", "1", "--threads", "1")
SHOW, CHECK = ("data", "show", "data"), ("data", "import", "data", "--out", "new")


def space(text: str, *more: str, title: str) -> Case:
    return Case("Search spaces", title, (*RUN, *more), files(space_dot_yaml=text, curve__a=""))


def spec(text: str) -> str:
    return f"parameters:\n  optimizer.lr: {text}\n"


def cases() -> Iterator[Case]:
    """All of them, by group."""
    yield from _data_cases()
    yield from _format_cases()
    yield from _space_cases()
    yield from _weight_cases()
    yield from _run_cases()
    yield from _command_cases()


def _data_cases() -> Iterator[Case]:
    data = "Data sets"
    yield Case(data, "there is nothing", SHOW)
    yield Case(data, "an empty folder", SHOW, lambda folder: (folder / "data").mkdir())
    yield Case(data, "JSON that ends early", SHOW, coco_file('{"images": ['))
    yield Case(data, "no JSON at all", SHOW, coco_file(b"\x89PNG\r\n\x1a\n\xff\xff"))
    yield Case(data, "a list where an object should be", SHOW, coco_file("[]"))
    yield Case(data, "100,000 brackets", SHOW, coco_file("[" * 100_000))
    yield Case(data, "a number of 5,000 digits", SHOW, coco_file('{"images": ' + "9" * 5000))
    yield Case(data, "no annotations", SHOW, coco(lambda tree: tree.pop("annotations")))
    yield Case(data, "no categories", SHOW, coco(lambda tree: tree["categories"].clear()))
    yield Case(data, "a picture that is not there", SHOW, _entry("images", file_name="gone.png"))
    yield Case(data, "a name that leads out", SHOW, _entry("images", file_name="../../a.png"))
    yield Case(data, "an absolute name", SHOW, _entry("images", file_name="/etc/passwd"))
    yield Case(data, "a Windows name", SHOW, _entry("images", file_name="C:\\a.png"))
    yield Case(data, "a link that leads out", SHOW, _link_out)
    yield Case(data, "ids as text", SHOW, _entry("images", id="1"))
    yield Case(data, "two images of one id", SHOW, _entry("images", id=2))
    yield Case(data, "a class that is not there", SHOW, _entry("annotations", category_id=9))
    yield Case(data, "an image that is not there", SHOW, _entry("annotations", image_id=9))
    yield Case(data, "two classes of one name", SHOW, _entry("categories", name="green"))
    yield Case(data, "a box of text", SHOW, _entry("annotations", bbox="all"))
    yield Case(data, "an image without a size", SHOW, _entry("images", width=0))
    yield Case(data, "iscrowd 7", SHOW, _entry("annotations", iscrowd=7))
    yield Case(data, "boxes of NaN only", SHOW, _boxes(float("nan"), 0, 4, 4))
    yield Case(data, "boxes of no width only", SHOW, _boxes(1, 1, 0, 4))
    yield Case(data, "negative boxes only", SHOW, _boxes(9, 9, -4, -4))
    yield Case(data, "boxes outside only", SHOW, _boxes(100, 100, 4, 4))
    yield Case(data, "a picture that claims 50,000 x 50,000 pixels", CHECK, _bomb)
    yield Case(data, "a picture cut short", ("data", "check", "data"), _cut_short)
    yield Case(data, "escape codes in a name", SHOW,
               _entry("images", file_name="a\x1b[2J\x1b]0;x\x07\u202egnp.png"))  # fmt: skip
    yield Case(data, "a line break in a class", SHOW,
               coco(lambda tree: [one.update(name="a\nb\r") for one in tree["categories"]]),
               )  # fmt: skip


def _format_cases() -> Iterator[Case]:
    group = "Other formats"
    yield Case(group, "no format that is known", CHECK, files(data__a_dot_txt="x"))
    yield Case(group, "two formats at once", CHECK, _two_formats)
    yield Case(group, "folders of classes", CHECK, _class_folders)
    yield Case(group, "an unknown format", (*CHECK, "--format", "yolov9"), coco(lambda _: None))
    yield Case(group, "VOC with a DOCTYPE", CHECK, files(
        data__Annotations__a_dot_xml='<!DOCTYPE a [<!ENTITY b "c">]><annotation/>',
        data__JPEGImages__a_dot_png="x"))  # fmt: skip
    yield Case(group, "a tag in data.yaml", CHECK, files(
        data__data_dot_yaml="train: !!python/object/apply:os.system ['touch pwned']\nnames: [a]\n",
        data__images__a_dot_png="x"))  # fmt: skip
    yield Case(group, "a data.yaml without names", CHECK, files(
        data__data_dot_yaml="train: images\n", data__images__a_dot_png="x"))  # fmt: skip
    yield Case(group, "a darknet list of another machine", CHECK, files(
        data__obj_dot_data="classes=1\ntrain=train.txt\nnames=obj.names\n",
        data__train_dot_txt="/home/u/a.png\n", data__obj_dot_names="a\n"))  # fmt: skip


def _space_cases() -> Iterator[Case]:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
        for old, new in zip("abcdef", "bcdefg", strict=True)
    )
    yield space("", title="an empty file")
    yield space("parameters: [", title="broken YAML")
    yield space("parameters:\n\t- a\n", title="a tab")
    yield space(bomb, title="aliases that explode")
    yield space("a: " + "[" * 500, title="500 levels")
    yield space("parameters: !!python/object/apply:os.system ['touch pwned']\n", title="a tag")
    yield space(spec("{type: float, low: 0.1, high: 0.01, default: 0.1, why: x}"),
                title="low above high")  # fmt: skip
    yield space(spec("{type: flaot, low: 0.1, high: 1.0, default: 0.1, why: x}"),
                title="an unknown type")  # fmt: skip
    yield space(SPACE.replace("optimizer.lr", "optimiser.lr"), title="an unknown setting")
    yield space(SPACE + SPACE, title="a key given twice")
    yield space(SPACE.replace("0.001", "1e-3"), title="1e-3, which YAML reads as text")
    yield space("\x00\x1b[2J", title="control characters")
    yield space(SPACE, "--set", "epohcs=3", title="--set of a key with a typo")
    yield space(SPACE, "--set", "epochs", title="--set without a value")
    yield space(SPACE, "--set", "epochs=many", title="--set of text for a number")
    config = "Training configurations"
    yield Case(config, "an unknown key", (*TRAIN, "--config", "my.yaml"),
               files(my_dot_yaml="epohcs: 3\n"))  # fmt: skip
    yield Case(config, "a value out of range", (*TRAIN, "--config", "my.yaml"),
               files(my_dot_yaml="epochs: -3\n"))  # fmt: skip
    yield Case(config, "an unknown model", (*TRAIN, "--set", "model=yolov9"), coco(lambda _: None))
    yield Case(config, "an unknown ingredient", (*TRAIN, "--ingredients", "Mosaik"),
               coco(lambda _: None))  # fmt: skip
    yield Case("Tables", "an unknown table", ("ablate", "--table", "bofs", "--data", "digits"))
    yield Case("Tables", "a table without rows", ("ablate", "--table", "t.yaml"),
               files(t_dot_yaml="title: x\n"))  # fmt: skip


def _weight_cases() -> Iterator[Case]:
    group = "Weights and cfg files"
    call = ("detect", "--weights", "a.pt", "a.png")
    pickled = pickle.dumps(_Runs())
    yield Case(group, "no such checkpoint", call)
    yield Case(group, "a pickle that runs a command", call, files(a_dot_pt=pickled))
    yield Case(group, "a cut-off archive", call, files(a_dot_pt=b"PK\x03\x04" + bytes(90)))
    yield Case(group, "an archive that would grow a thousandfold", call,
               files(a_dot_pt=_packed(bytes(1 << 20))))  # fmt: skip
    yield Case(group, "darknet's weights", ("detect", "--weights", "a.weights", "a.png"),
               files(a_dot_weights=bytes(90)))  # fmt: skip
    cfg = ("import-cfg", "a.cfg")
    yield Case(group, "no such cfg file", cfg)
    yield Case(group, "a cfg file without [net]", cfg, files(a_dot_cfg="[yolo]\n"))
    yield Case(group, "a cfg file that is none", cfg, files(a_dot_cfg="hello\n"))
    yield Case(group, "weights as cfg file", cfg, files(a_dot_cfg=bytes(90)))
    darknet = ("import-weights", "a.weights", "--model", "yolov4-tiny-nano", "--out", "a.pt")
    yield Case(group, "weights of 3 bytes", darknet, files(a_dot_weights=b"abc"))
    yield Case(group, "weights of another network", darknet,
               files(a_dot_weights=struct.pack("<3iQ", 0, 2, 5, 0) + bytes(4000)))  # fmt: skip


def _packed(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data/0", content)
    return file.getvalue()


def _run_cases() -> Iterator[Case]:
    group = "Run folders"
    status = ("status", "a")
    trees = {
        "a manifest that ends early": "{",
        "a manifest of a list": "[]",
        "a manifest of other kinds": '{"name": "a", "seed": "none", "space": {}}',
    }
    yield Case(group, "no such run", status)
    yield Case(group, "a folder without a run", status, lambda folder: (folder / "a").mkdir())
    for title, text in trees.items():
        yield Case(group, title, status, files(a__manifest_dot_json=text))
    yield Case(group, "a run of a later evolve", status,
               files(a__manifest_dot_json='{"format": 99, "name": "a"}'))  # fmt: skip
    made = '{"name": "a", "study": "evolve", "space": {"parameters": {}}}'
    yield Case(group, "a study.db of noise", status,
               files(a__manifest_dot_json=made, a__study_dot_db=b"\x07noise" * 3000))  # fmt: skip
    yield Case(group, "a torn study.db", status, files(
        a__manifest_dot_json=made, a__study_dot_db=b"SQLite format 3\0" + bytes(200)))  # fmt: skip
    yield Case(group, "a report of nothing", ("report", "a"))
    yield Case(group, "a card of nothing", ("export-study", "a", "--out", "card.yaml"))
    yield Case(group, "a file where the run folder should be", RUN, _unwritable)
    yield Case(group, "a warm start from a broken card", (*RUN, "--warm-start", "card.yaml"),
               files(space_dot_yaml=SPACE, curve__a="",
                     card_dot_yaml="format: evolve-card-9\n"))  # fmt: skip


def _command_cases() -> Iterator[Case]:
    group = "Command lines"
    made = files(space_dot_yaml=SPACE, curve__a="")
    yield Case(group, "no such verb", ("trian",))
    yield Case(group, "no such option", (*RUN, "--trails", "3"), made)
    yield Case(group, "--workers 0", (*RUN, "--workers", "0"), made)
    yield Case(group, "a budget of no unit", (*RUN, "--budget", "5x"), made)
    yield Case(group, "an unknown sampler", (*RUN, "--sampler", "genetics"), made)
    yield Case(group, "an unknown space", ("run", "--space", "gaa.yaml"))


def tell(case: Case, folder: Path) -> Told:
    """Make the input in a folder and run the command there, in this process."""
    from evolve.cli.main import main

    case.make(folder)
    said, before = io.StringIO(), Path.cwd()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            main(list(case.arguments))
    except SystemExit as ended:
        return Told(int(ended.code or 0), _portable(said.getvalue(), folder))
    except BaseException:
        return Told(-1, said.getvalue() + traceback.format_exc())
    finally:
        os.chdir(before)
    raise AssertionError("main always exits")


def _portable(text: str, folder: Path) -> str:
    """What was said without the folders of this machine."""
    return text.replace(str(folder), ".").replace(f"{ROOT}{os.sep}", "")


def table(told: dict[Case, Told]) -> str:
    """The page: each case with its command, exit code and message."""
    lines, group = [HEAD], ""
    for case, found in told.items():
        if case.group != group:
            group = case.group
            lines.append(f"## {group}\n")
        call = " ".join(map(shlex.quote, case.arguments))
        said = found.said.strip().replace("```", "'''")
        lines.append(f"**{case.title}** (exit code {found.code})\n")
        lines.append(f"```text\n$ evolve {call}\n{said}\n```\n")
    return "\n".join(lines)


def main() -> int:
    """Run all, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--markdown", action="store_true", help="as a page")
    asked = parser.parse_args()
    told = {}
    for case in cases():
        with tempfile.TemporaryDirectory() as folder:
            told[case] = tell(case, Path(folder).resolve())
    if asked.markdown:
        sys.stdout.write(table(told))
    else:
        for case, found in told.items():
            call = " ".join(map(shlex.quote, case.arguments))
            sys.stdout.write(f"{case.title} | {call} | {found.code}\n{found.said.rstrip()}\n\n")
    wrong = [case for case in told if told[case].code != case.code]
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
