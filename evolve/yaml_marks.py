"""YAML files read with the place of every key, so that each fault is told as file:line:column.

`load_yaml` gives what `yaml.safe_load` gives, less its traps; `validate` turns the result into a
pydantic model and tells all faults at once. Nothing is coerced: text is never taken for a number
and a boolean never for text.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from evolve.errors import EvolveError, nearest

KeyPath = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)

NUMBERED = "changes"
"""Mappings of this name have whole numbers for keys; like all keys they are read as text."""

LIMIT_BYTES = 1_000_000
LIMIT_DEPTH = 32
LIMIT_NODES = 50_000
LIMIT_BITS = 64  # of a whole number; one of thousands of digits cannot even be written

_TAG = "tag:yaml.org,2002:"
_SCALARS = {f"{_TAG}{kind}" for kind in ("str", "int", "float", "bool", "null", "timestamp")}
_EXPONENT = re.compile(r"[-+]?(\d+|\d+\.\d*|\.\d+)[eE][-+]?\d+")
_SEXAGESIMAL = re.compile(r"[-+]?\d[\d_]*(:[0-5]?\d)+(\.\d*)?")
_OCTAL = re.compile(r"[-+]?0[0-7_]+")


@dataclass(frozen=True)
class Fault:
    """One thing wrong in a file; `order` is its line and column, for sorting."""

    what: str
    where: str
    mend: str = ""
    order: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class MarkedYaml:
    """A YAML mapping with the line and column (from 1) of every key path in it.

    Attributes
    ----------
    data : dict
        What `yaml.safe_load` gives; a date stays text.
    marks : mapping of key path -> (line, column)
        Key paths are tuples, so a key may hold dots; ``()`` is the whole mapping.
    path : Path
        The file, as the user named it.
    hints : mapping of key path -> str
        Values that YAML reads otherwise than most people expect, such as ``1e-3``.
    faults : tuple of Fault
        What was wrong in the YAML itself; `load_yaml` leaves none.
    prefix : key path
        Where this mapping lies in the file.
    """

    data: dict[str, Any]
    marks: Mapping[KeyPath, tuple[int, int]]
    path: Path
    hints: Mapping[KeyPath, str] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    prefix: KeyPath = ()

    def position(self, key_path: KeyPath) -> tuple[int, int]:
        """Line and column of a key path, or of its nearest ancestor that is in the file."""
        for length in range(len(key_path), -1, -1):
            if key_path[:length] in self.marks:
                return self.marks[key_path[:length]]
        return (1, 1)

    def where(self, key_path: KeyPath) -> str:
        """Place of a key path as ``file:line:column  key.path``."""
        line, column = self.position(key_path)
        name = ".".join(str(key) for key in (*self.prefix, *key_path))
        return f"{self.path}:{line}:{column}  {name}".rstrip()

    def fault(self, what: str, key_path: KeyPath, mend: str = "") -> Fault:
        """Fault at a key path; a hint about the value there goes before `mend`."""
        hints = [hint for hint in (self.hints.get(key_path, ""), mend) if hint]
        return Fault(what, self.where(key_path), "; ".join(hints), self.position(key_path))

    def under(self, key: str) -> "MarkedYaml":
        """Give the mapping below one key, with its places; empty if it is absent or no mapping."""
        data = self.data.get(key)
        return MarkedYaml(
            data if isinstance(data, dict) else {},
            {path[1:]: mark for path, mark in self.marks.items() if path[:1] == (key,)},
            self.path,
            {path[1:]: hint for path, hint in self.hints.items() if path[:1] == (key,)},
            prefix=(*self.prefix, key),
        )


def load_yaml(path: Path, error: type[EvolveError] = EvolveError) -> MarkedYaml:
    """YAML file as a mapping with marks.

    Raises
    ------
    EvolveError
        As the class `error`: a missing, unreadable, empty, too large or broken file, one that is
        not UTF-8 or no mapping, a repeated key, a tag, or a value that YAML reads strangely.
    """
    marked = read_marked(path, error)
    raise_faults(marked.faults, path, error)
    return marked


def read_marked(path: Path, error: type[EvolveError] = EvolveError) -> MarkedYaml:
    """As `load_yaml`, but faults of single keys are left in `faults`, to be told with others."""
    path = Path(path)
    text = _read_text(path, error)
    loader = _open(text, path, error)
    try:
        root = loader.get_single_node()
        if root is None:
            raise error(
                f"'{path.name}' is empty", f"{path}:1:1", "write at least one 'key: value'"
            )
        if not isinstance(root, yaml.MappingNode):
            what = f"'{path.name}' must hold a mapping at its top level"
            raise error(what, f"{path}:{_mark(root)[0]}:{_mark(root)[1]}", "write 'key: value'")
        reader = _Reader(loader, path)
        data = reader.value(root, ())
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise error(f"broken YAML: {fault.problem}", place, _syntax_mend(fault)) from fault
    finally:
        loader.dispose()
    return MarkedYaml(data, reader.marks, path, reader.hints, tuple(reader.faults))


def validate(marked: MarkedYaml, model: type[Model], error: type[EvolveError]) -> Model:
    """Check a whole file against a model, and give the model.

    Raises
    ------
    EvolveError
        As the class `error`, once for all faults, each with its place and how to mend it.
    """
    value, faults = gather(marked, model)
    raise_faults([*marked.faults, *faults], marked.path, error)
    assert value is not None
    return value


def gather(marked: MarkedYaml, model: type[Model]) -> tuple[Model | None, list[Fault]]:
    """Check against a model: the model, or None and all faults."""
    try:
        return model.model_validate_json(json.dumps(marked.data), strict=True), []
    except ValidationError as refused:
        return None, model_faults(marked, model, refused)


def model_faults(
    marked: MarkedYaml, model: type[BaseModel], refused: ValidationError
) -> list[Fault]:
    """Each fault that pydantic found, with its place; branches of one union are one fault."""
    by_place: dict[KeyPath, list[tuple[str, str]]] = {}
    for detail in refused.errors(include_url=False):
        path = _path_in_file(marked, dict(detail))
        by_place.setdefault(path, []).append(_explain(path, dict(detail), model))
    faults = []
    for path, reasons in by_place.items():
        what = " or ".join(dict.fromkeys(what for what, _ in reasons))
        mend = "; ".join(dict.fromkeys(mend for _, mend in reasons if mend))
        faults.append(marked.fault(what, path, mend))
    return faults


def raise_faults(faults: Iterable[Fault], path: Path, error: type[EvolveError]) -> None:
    """Raise `error` for the faults, if any, in the order of the file."""
    found = sorted(dict.fromkeys(faults), key=lambda fault: fault.order)
    if len(found) == 1:
        raise error(found[0].what, found[0].where, found[0].mend)
    if found:
        raise error(f"{len(found)} faults{''.join(map(_listed, found))}", str(path))


def undotted(marked: MarkedYaml) -> MarkedYaml:
    """Write ``a.b: 1`` as ``a: {b: 1}``, marks and hints alike."""
    data: dict[str, Any] = {}
    faults = list(marked.faults)
    for path, value in _leaves(marked.data, ()):
        if not _insert(data, _split(path), value):
            name = ".".join(str(key) for key in path)
            faults.append(marked.fault(f"'{name}' is set twice", path, "remove one of the two"))
    marks: dict[KeyPath, tuple[int, int]] = {}
    for path, mark in marked.marks.items():
        parts = _split(path)
        for length in range(len(parts) + 1):
            marks.setdefault(parts[:length], mark)
    hints = {_split(path): hint for path, hint in marked.hints.items()}
    return replace(marked, data=data, marks=marks, hints=hints, faults=tuple(faults))


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses deep nesting before it overflows the stack."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth += 1
        if self.depth > LIMIT_DEPTH:
            mark = parent.start_mark if parent else None
            raise yaml.MarkedYAMLError(None, None, f"more than {LIMIT_DEPTH} levels deep", mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Reader:
    """Walks the nodes once; fills marks, hints and faults on its way."""

    def __init__(self, loader: _Loader, path: Path) -> None:
        self.loader = loader
        self.path = path
        self.marks: dict[KeyPath, tuple[int, int]] = {}
        self.hints: dict[KeyPath, str] = {}
        self.faults: list[Fault] = []
        self.count = 0

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        self.marks.setdefault(path, _mark(node))
        self.count += 1
        if self.count > LIMIT_NODES or len(path) > LIMIT_DEPTH:
            what = f"aliases expand to more than {LIMIT_NODES} values or {LIMIT_DEPTH} levels"
            raise yaml.MarkedYAMLError(None, None, what, node.start_mark)
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            return [self.value(item, (*path, i)) for i, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and node.tag in _SCALARS:
            return self._scalar(node, path)
        tag = node.tag.replace(_TAG, "!!")
        self._fault(f"the tag '{tag}' is not allowed", node, path, "write plain values")
        return None

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, path)
            inner = (*path, key)
            if key in data:
                lines = f"lines {self.marks[inner][0]} and {_mark(key_node)[0]}"
                what = f"key '{key}' is given twice, on {lines}; YAML would silently keep the last"
                self._fault(what, key_node, inner, "remove one of the two")
            self.marks[inner] = _mark(key_node)
            data[key] = self.value(value_node, inner)
        return data

    def _key(self, node: yaml.Node, path: KeyPath) -> str:
        if not isinstance(node, yaml.ScalarNode):
            self._fault("a key must be a single word", node, path, "write 'key: value'")
            return "?"
        key = str(node.value)
        if node.tag == f"{_TAG}merge":
            self._fault("merge keys ('<<') are not allowed", node, path, "write the keys out")
        elif node.tag != f"{_TAG}str" and not _is_number_of(path, key):
            kind = node.tag.replace(_TAG, "")
            self._fault(f"the key '{key}' is read as {kind}", node, path, f"quote it: '{key}'")
        return key

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        text, kind = str(node.value), node.tag.removeprefix(_TAG)
        if kind == "timestamp":
            return text
        if kind in ("int", "float") and _SEXAGESIMAL.fullmatch(text):
            self._fault(f"'{text}' is read as a number to base 60", node, path, "quote it")
        elif kind == "int" and _OCTAL.fullmatch(text):
            self._fault(f"'{text}' is read as octal", node, path, "drop the leading zero")
        elif kind == "str" and node.style is None and _EXPONENT.fullmatch(text):
            self.hints[path] = f"YAML reads '{text}' as text; write {_with_point(text)}"
        elif kind == "bool" and text.lower() not in ("true", "false"):
            read = "true" if text.lower() in ("yes", "on") else "false"
            self.hints[path] = f"YAML reads {text} as the boolean {read}; for text quote it"
        elif kind == "null":
            self.hints[path] = "the value is empty; write one, or remove the key"
        try:
            value = self.loader.construct_object(node)
        except ValueError as error:
            self._fault(f"'{text[:40]}' cannot be read as {kind}: {error}", node, path, "")
            return None
        if isinstance(value, int) and value.bit_length() > LIMIT_BITS:
            self._fault(f"the number '{text[:20]}...' is too large", node, path, "")
            return None
        return value

    def _fault(self, what: str, node: yaml.Node, path: KeyPath, mend: str) -> None:
        line, column = _mark(node)
        name = ".".join(map(str, path))
        place = f"{self.path}:{line}:{column}  {name}".rstrip()
        self.faults.append(Fault(what, place, mend, (line, column)))


def _is_number_of(path: KeyPath, key: str) -> bool:
    """Whether a key is a whole number, as it is usually written, where one belongs."""
    return path[-1:] == (NUMBERED,) and key.isdecimal() and key == str(int(key))


def _mark(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _with_point(text: str) -> str:
    """``1e-3`` as ``1.0e-3``, ``2.e3`` as ``2.0e+3``: the only spelling PyYAML takes."""
    mantissa, exponent = re.split("[eE]", text)
    if "." not in mantissa:
        mantissa += ".0"
    sign = "" if exponent[0] in "+-" else "+"
    return f"{mantissa}e{sign}{exponent}"


def _read_text(path: Path, error: type[EvolveError]) -> str:
    try:
        if path.is_dir():
            mend = nearest("", (entry.name for entry in sorted(path.glob("*.yaml"))))
            raise error("a folder is given where a YAML file is expected", str(path), mend)
        if not path.exists():
            beside = [entry.name for entry in path.parent.glob("*.y*ml")]
            raise error(f"there is no file '{path.name}'", str(path), nearest(path.name, beside))
        if not path.is_file():
            raise error("not a regular file", str(path), "name a YAML file")
        if path.stat().st_size > LIMIT_BYTES:
            what = f"the file is larger than {LIMIT_BYTES:,} bytes"
            raise error(what, str(path), "is this the right file?")
        raw = path.read_bytes()
    except OSError as fault:
        raise error(f"cannot read the file: {fault.strerror}", str(path), "") from fault
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = raw.count(b"\n", 0, fault.start) + 1
        column = fault.start - (raw.rfind(b"\n", 0, fault.start) + 1) + 1
        what = f"the file is not UTF-8 text (byte 0x{raw[fault.start]:02x})"
        raise error(what, f"{path}:{line}:{column}", "save it as UTF-8") from fault


def _open(text: str, path: Path, error: type[EvolveError]) -> _Loader:
    try:
        return _Loader(text)
    except yaml.reader.ReaderError as fault:
        what = f"a character that YAML does not allow: {fault.reason}"
        raise error(what, _place_in(text, path, fault.position), "remove it") from fault


def _syntax_mend(fault: yaml.MarkedYAMLError) -> str:
    problem = fault.problem or ""
    if "'\\t'" in problem:
        return "indent with spaces, not with tabs"
    if "single document" in problem or "but found another document" in problem:
        return "keep one document: remove the '---' inside the file"
    if "levels deep" in problem or "aliases expand" in problem:
        return "write it out, and plainly: no file of evolve needs as much"
    if "mapping values are not allowed" in problem:
        return "quote a value that holds ': ', or check the indentation"
    if fault.context and "anchor" not in problem:
        return f"look around it: {fault.context}"
    return ""


def _place_in(text: str, path: Path, position: int) -> str:
    before = text[:position]
    return f"{path}:{before.count(chr(10)) + 1}:{position - before.rfind(chr(10))}"


def _listed(fault: Fault) -> str:
    mend = f"\n    mend {fault.mend}" if fault.mend else ""
    return f"\n  - {fault.what}\n    at   {fault.where}{mend}"


def _path_in_file(marked: MarkedYaml, detail: dict[str, Any]) -> KeyPath:
    """Key path of a pydantic error, whose `loc` also names union branches and other things."""
    path: KeyPath = ()
    extra = [_unquoted(detail["ctx"]["discriminator"])] if "tag" in detail.get("ctx", {}) else []
    for part in (*detail["loc"], *extra):
        if (*path, part) in marked.marks:
            path = (*path, part)
    return (*path, detail["loc"][-1]) if detail["type"] == "missing" else path


def _unquoted(text: str) -> str:
    return text.strip("'")


def _explain(path: KeyPath, detail: dict[str, Any], model: type[BaseModel]) -> tuple[str, str]:
    """Say what is wrong and how to mend it, for one pydantic error."""
    name, kind, context = _name(path), detail["type"], detail.get("ctx", {})
    if kind == "missing":
        return f"'{name}' is missing", f"add '{path[-1]}: ...'"
    if kind == "extra_forbidden":
        known = _known_keys(model, tuple(detail["loc"][:-1]))
        return f"unknown key '{name}'", nearest(str(path[-1]) if path else "", known)
    if kind == "union_tag_not_found":
        field_name = _unquoted(context["discriminator"])
        return f"'{name}' has no '{field_name}'", f"add '{field_name}: ...'"
    if kind in ("literal_error", "union_tag_invalid"):
        allowed = re.findall(
            r"'([^']*)'", context.get("expected", context.get("expected_tags", ""))
        )
        got = context.get("tag", detail["input"])
        return f"'{name}' cannot be {got!r}", nearest(str(got), allowed)
    message = detail["msg"].removeprefix("Value error, ")
    if message.startswith("Input should"):
        got = detail["input"]
        shown = "" if isinstance(got, dict | list) else f", got {got!r}"
        return f"'{name}'{message.removeprefix('Input')}{shown}", ""
    return message, str(context.get("mend", ""))


def _name(path: KeyPath) -> str:
    """Shortest readable name of a key path: its last key, with an index behind it."""
    if path and isinstance(path[-1], int):
        return f"{_name(path[:-1])}[{path[-1]}]"
    return str(path[-1]) if path else "the file"


def _known_keys(annotation: Any, loc: KeyPath) -> list[str]:
    """Keys that a model knows at a pydantic `loc` below it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if not loc:
            return list(annotation.model_fields)
        found = annotation.model_fields.get(str(loc[0]))
        return _known_keys(found.annotation, loc[1:]) if found else []
    arguments = get_args(annotation)
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        branches = [branch for branch in arguments if _has_tag(branch, loc[:1])]
        return _known_keys(branches[0], loc[1:]) if branches else []
    if origin in (dict, tuple, list) and loc:
        return _known_keys(arguments[1 if origin is dict else 0], loc[1:])
    return _known_keys(arguments[0], loc) if arguments else []


def _has_tag(branch: Any, tag: KeyPath) -> bool:
    fields = getattr(branch, "model_fields", {}).values()
    literals = (get_args(f.annotation) for f in fields if get_origin(f.annotation) is Literal)
    return any(tag and tag[0] in values for values in literals)


def _leaves(data: Mapping[str, Any], path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    for key, value in data.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value


def _split(path: KeyPath) -> KeyPath:
    return tuple(
        part for key in path for part in (key.split(".") if isinstance(key, str) else (key,))
    )


def _insert(data: dict[str, Any], path: KeyPath, value: Any) -> bool:
    """Set a nested key; False if it, or a part of it, is there already."""
    node = data
    *parents, leaf = (str(part) for part in path)
    for name in parents:
        node = node.setdefault(name, {})
        if not isinstance(node, dict):
            return False
    if leaf in node:
        return value == {} and isinstance(node[leaf], dict)
    node[leaf] = value
    return True
