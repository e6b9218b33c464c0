"""Whether a report stands already, so that nothing has to be drawn again.

The same run gives the same report, so a digest of all that it is made of tells whether it would
be the same: what was read and found, this program, and what it draws with. The digest is kept in
``report.json`` of the run folder, with one of each file; it may be deleted at any time.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

import evolve
from evolve.findings import Findings
from evolve.findings.table import TableFindings
from evolve.store.folder import RunFolder, write_json
from evolve.store.records import RunRecord
from reports.origins import trial_origins
from reports.summary import summarise
from reports.table_trainings import read_behind

if TYPE_CHECKING:
    from hashlib import _Hash

FORMAT = 1
_DRAWN_WITH = ("jinja2", "markupsafe", "matplotlib", "numpy", "pandas", "pillow")


def make_report(run: RunRecord, found: Findings) -> Path:
    """Page of the report in the run's folder, made or replaced unless it stands as it would be.

    Raises
    ------
    ReportError
        As `reports.render.render_report`.
    """

    def draw(out: Path) -> list[Path]:
        from reports.render import render_report  # matplotlib: a report that stands is spared it

        return render_report(run, out, found)

    folder = RunFolder(run.folder)
    files = trial_origins(run, summarise(run, found), folder.report)  # links to what is there
    return _made(folder, draw, run, found, files)


def make_table_report(found: TableFindings) -> Path:
    """Page of the report in the folder of an ablation, made or replaced as by `make_report`.

    Raises
    ------
    ReportError
        As `reports.table_report.render_table_report`.
    """
    folder = RunFolder(found.folder)
    behind = read_behind(found, folder.report)

    def draw(out: Path) -> list[Path]:
        from reports.table_report import render_table_report

        return render_table_report(found, out, behind)

    return _made(folder, draw, found, behind)


def _made(folder: RunFolder, draw: Callable[[Path], list[Path]], *parts: Any) -> Path:
    """Page of a folder's report, which is made of these parts."""
    try:
        key = fingerprint(*parts)
    except TypeError:  # then it is drawn every time
        key = ""
    if key and _stands(folder, key):
        return folder.report.resolve() / "index.html"
    files = draw(folder.report)
    _note(folder, key, files)
    return files[0]


def fingerprint(*parts: Any) -> str:
    """Digest of parts, of this program and of what it draws with.

    Raises
    ------
    TypeError
        If a part holds something of a kind that has none.
    """
    digest = hashlib.sha256()
    _feed(digest, [version(name) for name in _DRAWN_WITH])
    for path in _sources():
        digest.update(path.read_bytes())
    _feed(digest, parts)
    return digest.hexdigest()


def _sources() -> Iterable[Path]:
    for folder in (Path(evolve.__file__).parent, Path(__file__).parent):
        files = (
            path for path in folder.rglob("*") if path.suffix in {".py", ".j2", ".css", ".js"}
        )
        yield from sorted(files)


def _feed(digest: "_Hash", value: Any) -> None:
    """Add a value with its type, and how many it has of what it consists of."""
    kind = type(value).__name__
    if isinstance(value, pd.DataFrame):
        _feed(digest, [kind, len(value), list(value.columns), _column(value.index.to_series())])
        for place in range(value.shape[1]):
            _feed(digest, _column(value.iloc[:, place]))
    elif isinstance(value, np.ndarray):
        _feed(digest, [kind, str(value.dtype), value.shape, value.tolist()])
    elif is_dataclass(value):
        _feed(digest, [kind, {one.name: getattr(value, one.name) for one in fields(value)}])
    elif isinstance(value, Mapping):
        _feed(digest, [kind, *(part for item in value.items() for part in item)])
    elif isinstance(value, tuple | list):
        digest.update(f"{kind} {len(value)}\n".encode())
        for one in value:
            _feed(digest, one)
    elif value is None or isinstance(value, str | int | float | Path | np.generic):
        digest.update(f"{kind} {value!r}\n".encode())
    elif isinstance(value, bytes):
        digest.update(f"{kind} {len(value)}\n".encode() + value)
    else:
        raise TypeError(f"no digest of a {kind}")


def _column(values: "pd.Series[Any]") -> Any:
    if is_numeric_dtype(values):
        return [str(values.dtype), values.to_numpy().tobytes()]
    return [str(values.dtype), repr(values.astype(object).tolist())]


def _stands(folder: RunFolder, key: str) -> bool:
    """Whether all files are there as they were written, and no other."""
    try:
        noted = json.loads(folder.report_note.read_text(encoding="utf-8"))
        if noted["format"] != FORMAT or noted["key"] != key:
            return False
        there = {
            path.relative_to(folder.report).as_posix(): path
            for path in folder.report.rglob("*")
            if not path.is_dir()
        }
        digests = {name: _digest(path) for name, path in there.items()}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False
    return bool(digests) and digests == noted["files"]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _note(folder: RunFolder, key: str, files: Iterable[Path]) -> None:
    root = folder.report.resolve()
    digests = {path.relative_to(root).as_posix(): _digest(path) for path in files}
    write_json(folder.report_note, {"format": FORMAT, "key": key, "files": digests})
