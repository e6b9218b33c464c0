"""The data.yaml of a YOLO data set, read with every value as text.

Text, because YAML would take a class named ``no`` for a boolean and ``1:30`` for a number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from evolve.datasets.formats.common import LIMIT_NAMES, LIMIT_TEXT_BYTES, Unreadable, read_bytes
from model.data.coco_layout import SPLITS, split_of
from model.errors import DataError

_WRITE = "a data.yaml has the keys names, train and val"


@dataclass(frozen=True)
class DataYaml:
    """What such a file says.

    Attributes
    ----------
    file : Path
    base : str
        ``path``: the data folder on the machine that wrote it; empty where it is not given.
    entries : mapping of str -> tuple of str
        By split: folders or lists of images.
    names : mapping of number -> str
        Class names by number.
    count : int or None
        ``nc``, the number of classes.
    point_columns : int
        Columns of key points behind a box (``kpt_shape``).
    faults : tuple of str
        What in it was not understood.
    """

    file: Path
    base: str
    entries: Mapping[str, tuple[str, ...]]
    names: Mapping[object, str]
    count: int | None
    point_columns: int
    faults: tuple[str, ...]


def read_data_yaml(file: Path) -> DataYaml:
    """Read it; a DataError where it is no YAML mapping."""
    tree = _tree(file)
    faults: list[str] = []
    names = _names(tree.get("names"), faults)
    entries: dict[str, tuple[str, ...]] = {}
    for key, value in tree.items():
        split = split_of(key)
        if split and (found := _texts(value)):
            if split in entries:
                faults.append(f"'{key}' names {split} a second time and was not followed")
            entries.setdefault(split, found)
    return DataYaml(
        file=file,
        base=next(iter(_texts(tree.get("path"))), ""),
        entries={split: entries[split] for split in SPLITS if split in entries},
        names=names,
        count=_whole(tree.get("nc"), "nc", faults),
        point_columns=_point_columns(tree.get("kpt_shape"), faults),
        faults=tuple(faults),
    )


def is_data_yaml(file: Path) -> bool:
    """Whether a YAML file names classes and images."""
    try:
        found = read_data_yaml(file)
    except DataError:
        return False
    return bool(found.entries and (found.names or found.count))


def _tree(file: Path) -> dict[str, yaml.Node]:
    try:
        text = read_bytes(file, LIMIT_TEXT_BYTES).decode("utf-8-sig")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (Unreadable, UnicodeDecodeError) as error:
        raise DataError(f"no YAML: {error}", str(file), _WRITE) from None
    except RecursionError:
        raise DataError("no data.yaml: it is nested too deeply", str(file), _WRITE) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else str(file)
        raise DataError(f"broken YAML: {error.problem}", place, _WRITE) from None
    except yaml.YAMLError as error:
        raise DataError(f"broken YAML: {error}", str(file), _WRITE) from None
    if not isinstance(node, yaml.MappingNode):
        raise DataError("no data.yaml: it is no mapping", str(file), _WRITE)
    return {str(key.value): value for key, value in node.value if _is_scalar(key)}


def _is_scalar(node: object) -> bool:
    return isinstance(node, yaml.ScalarNode)


def _text(node: yaml.Node) -> str:
    """Value of a scalar as it is written; empty for ``null``."""
    return "" if node.tag == "tag:yaml.org,2002:null" else str(node.value)


def _texts(node: yaml.Node | None) -> tuple[str, ...]:
    """The text of a scalar, or those of a list, without empty ones."""
    nodes: Sequence[yaml.Node] = [] if node is None else [node]
    if isinstance(node, yaml.SequenceNode):
        nodes = node.value
    return tuple(text for one in nodes if _is_scalar(one) and (text := _text(one)))


def _names(node: yaml.Node | None, faults: list[str]) -> dict[object, str]:
    """Names by number, of a list or a mapping."""
    if isinstance(node, yaml.SequenceNode):
        pairs = [(str(number), value) for number, value in enumerate(node.value)]
    elif isinstance(node, yaml.MappingNode):
        pairs = [(str(key.value), value) for key, value in node.value]
    else:
        return {}
    found: dict[int, str] = {}
    for key, value in pairs[:LIMIT_NAMES]:
        if not (key.isdecimal() and len(key) < 10 and _is_scalar(value)):
            faults.append(f"names: '{key[:40]}' is no class number with a name")
        elif int(key) in found:
            faults.append(f"names: {key} is there twice; the first name was kept")
        else:
            found[int(key)] = str(value.value)
    if len(pairs) > LIMIT_NAMES:
        faults.append(f"names: only the first {LIMIT_NAMES:,} were read")
    return {number: found[number] for number in sorted(found)}


def _whole(node: yaml.Node | None, key: str, faults: list[str]) -> int | None:
    text = next(iter(_texts(node)), "")
    if text.isdecimal() and len(text) < 7:
        return int(text)
    if node is not None:
        faults.append(f"{key}: '{text[:40]}' is not a whole number")
    return None


def _point_columns(node: yaml.Node | None, faults: list[str]) -> int:
    """``kpt_shape: [points, 2 or 3]`` as a number of columns."""
    if node is None:
        return 0
    texts = _texts(node)
    if len(texts) == 2 and all(text.isdecimal() and len(text) < 5 for text in texts):
        return int(texts[0]) * int(texts[1])
    faults.append("kpt_shape is not two whole numbers")
    return 0
