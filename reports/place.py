"""Reports put in place whole: a folder holds a whole report, or is as it was."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from evolve.errors import ReportError
from model.files import write_atomically
from reports.text import clean

GENERATOR = "evolve report"
_OURS = {"index.html", "report.md", "tables", "figures"}


def put_report(out: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Make or replace the report in the folder `out`; the same files give the same bytes.

    Everything is made in a folder beside `out` and put in place at the end.

    Parameters
    ----------
    out : Path
    files : mapping of name -> content
        Names from `out` on, with one folder at most, the page first.

    Returns
    -------
    list of Path
        The files in their order.

    Raises
    ------
    ReportError
        If `out` holds something other than a report.
    """
    out = out.resolve()
    check_place(out)
    with _put_in_place(out) as folder:
        for name, content in files.items():
            _write(folder / name, content)
    return [out / name for name in files]


def check_place(out: Path) -> None:
    """Refuse a folder that holds something other than a report.

    Raises
    ------
    ReportError
        If it does.
    """
    if not out.exists():
        return
    if out.is_dir():
        names = {path.name for path in out.iterdir()}
        if not names or (names <= _OURS and _is_report(out / "index.html")):
            return
    raise ReportError(
        "the place of the report holds something else",
        clean(out),
        "name another folder; only a folder that holds nothing but a report is replaced",
    )


def _is_report(page: Path) -> bool:
    if not page.is_file():
        return False
    with page.open("rb") as file:
        return f'name="generator" content="{GENERATOR}"'.encode() in file.read(2000)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, lambda file: file.write(content))


@contextmanager
def _put_in_place(out: Path) -> Iterator[Path]:
    """Give a new folder beside `out` that takes its place at the end; on failure `out` stays."""
    out.parent.mkdir(parents=True, exist_ok=True)
    room = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    new, old = room / "new", room / "old"
    try:
        new.mkdir()
        yield new
        _swap(new, out, old)
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _swap(new: Path, out: Path, old: Path) -> None:
    had_one = out.exists()
    if had_one:
        out.rename(old)
    try:
        new.rename(out)
    except BaseException:
        if had_one:
            old.rename(out)
        raise
