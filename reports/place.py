"""Reports put in place whole: a folder holds a whole report, or is as it was."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from evolve.errors import ReportError
from model.files import write_atomically
from reports.text import clean

GENERATOR = "evolve report"
FORMATS = ("html", "md", "tex")
_SIGN = ".evolve-report"  # where there is no page that says whose folder it is
_OURS = {"index.html", "report.md", "tables", "figures", _SIGN}
_PAGES = {"index.html": "html", "report.md": "md"}


def put_report(
    out: Path, files: Mapping[str, bytes], formats: Sequence[str] = FORMATS
) -> list[Path]:
    """Make or replace the report in the folder `out`; the same files give the same bytes.

    Everything is made in a folder beside `out` and put in place at the end.

    Parameters
    ----------
    out : Path
    files : mapping of name -> content
        Names from `out` on, with one folder at most, the page first.
    formats : sequence of str
        Those of html, md and tex that are wanted; all other files are there always.

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
    wanted = {name: content for name, content in files.items() if _is_wanted(name, formats)}
    if "index.html" not in wanted:
        wanted[_SIGN] = f"{GENERATOR}\n".encode()
    with _put_in_place(out) as folder:
        for name, content in wanted.items():
            _write(folder / name, content)
    return [out / name for name in wanted]


def _is_wanted(name: str, formats: Sequence[str]) -> bool:
    kind = _PAGES.get(name) or ("tex" if name.endswith(".tex") else "")
    return not kind or kind in formats


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
        is_ours = _is_report(out / "index.html") or (out / _SIGN).is_file()
        if not names or (names <= _OURS and is_ours):
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
    had_one = _moved(out, old)
    try:
        new.rename(out)
    except BaseException:
        if had_one:
            old.rename(out)
        raise


def _moved(out: Path, old: Path) -> bool:
    """Move what stands there aside; whether there was anything: another may have been quicker."""
    try:
        out.rename(old)
    except FileNotFoundError:
        return False
    return True
