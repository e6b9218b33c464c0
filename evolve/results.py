"""What a run or an ablation found, for Python and notebooks: frames, figures, and the report."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pandas as pd

from evolve.errors import EvolveError, nearest
from evolve.findings import Findings, find
from evolve.findings.said import conclusion
from evolve.findings.table import TableFindings, find_table
from evolve.outside_text import printable
from evolve.store.folder import RunFolder
from evolve.store.manifest import ABLATION, kind_of
from evolve.store.read import read_manifest, read_run
from evolve.store.records import RunRecord
from evolve.units import percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("html", "md", "tex")
_STYLE = (
    "<style>.evolve table{border-collapse:collapse;font-variant-numeric:tabular-nums}"
    ".evolve td,.evolve th{padding:2px 8px;text-align:left}"
    ".evolve .number{text-align:right}.evolve .tick{text-align:center}"
    ".evolve caption{text-align:left;font-weight:bold;padding:4px 8px}</style>"
)
_Draws = Mapping[str, Any]


@dataclass(frozen=True)
class Best:
    """The trial that a run recommends.

    Attributes
    ----------
    trial : int
        Its number.
    value : float
        Its objective on val in [0, 1], from the search.
    params : dict of str -> Any
        What was searched, by key path; without those that do not exist beside the others.
    config : dict of str -> Any
        The whole training configuration, as `evolve train --config` takes it; empty while the
        run has not written it.
    """

    trial: int
    value: float
    params: Mapping[str, Any]
    config: Mapping[str, Any] = field(repr=False)


class _Result:
    """What both kinds of results can do with their figures and their report."""

    folder: Path

    def _draws(self) -> _Draws:
        raise NotImplementedError

    def figure(self, name: str) -> "Figure":
        """One of the report's figures.

        Parameters
        ----------
        name : str

        Raises
        ------
        EvolveError
            If there is none of this name, or it has nothing to show yet.
        """
        draws = self._draws()
        if name not in draws:
            raise EvolveError(f"no figure '{name}'", str(self.folder), nearest(name, draws))
        drawn = draws[name]()
        if drawn is None:
            what = f"there is nothing to show in the figure '{name}' yet"
            raise EvolveError(what, str(self.folder), "let more trainings end")
        return _shows_itself(cast("Figure", drawn))

    def figures(self) -> "dict[str, Figure]":
        """All of the report's figures that have something to show, by their names."""
        drawn = {name: draw() for name, draw in self._draws().items()}
        return {name: _shows_itself(fig) for name, fig in drawn.items() if fig is not None}

    def report(self, out: str | Path | None = None, formats: Sequence[str] = FORMATS) -> Path:
        """Write the report, unless it stands already; its page.

        Parameters
        ----------
        out : str or Path, optional
            Folder; default: `report` in the run folder.
        formats : sequence of str
            Of html, md and tex.
        """
        return report(self.folder, out=out, formats=formats)


def _shows_itself(figure: "Figure") -> "Figure":
    """Let a notebook show it, which does so by itself only for figures of pyplot."""
    from reports.figures import to_png

    figure.__dict__["_repr_png_"] = partial(to_png, figure)
    return figure


@dataclass(frozen=True, repr=False)
class RunResult(_Result):
    """What a run found; `str` says it in words.

    Attributes
    ----------
    folder : Path
    record : RunRecord
        The run as it is stored.
    found : Findings
        All that statistics say of it.
    """

    folder: Path
    record: RunRecord
    found: Findings

    @property
    def trials(self) -> pd.DataFrame:
        """A row a trial: state, value, metrics, times, and ``params.<key path>``; see `RunRecord`.

        The frame is yours to change.
        """
        return self.record.trials.copy()

    @property
    def best(self) -> Best | None:
        """The winner of the final comparison, else the best trial; None without a complete one."""
        score = self._summary().best if len(self.record.trials) else None
        if score is None:
            return None
        line = self.record.trials.set_index("number").loc[score.number]
        params = {p.path: line.get(f"params.{p.path}") for p in self.record.parameters}
        there = {path: _plain(value) for path, value in params.items() if not _is_none(value)}
        return Best(score.number, score.value, there, _config_of(RunFolder(self.folder)))

    @property
    def verdict(self) -> str:
        """Whether evolving gained anything, in a sentence."""
        if self.found.final is not None:
            return printable(self.found.final.sentence)
        return printable(self._summary().verdict) if len(self.record.trials) else "no trial yet"

    @property
    def front(self) -> pd.DataFrame | None:
        """Trials that no other dominates, the cheapest first; None with one objective.

        Columns: trial, value (in [0, 1]), cost, and ``stays``: whether it is on the front with
        fresh seeds, None where that was not asked.
        """
        if self.found.front is None:
            return None
        rows = {row.trial: row.stays for row in self.found.front.rows if row.judged.count}
        lines = [
            (one.trial, one.value, one.cost, rows.get(one.trial))
            for one in self.found.front.members
        ]
        return pd.DataFrame(lines, columns=["trial", "value", "cost", "stays"])

    def _summary(self) -> Any:
        from reports.summary import summarise

        return summarise(self.record, self.found)

    def _draws(self) -> _Draws:
        from reports.drawings import run_drawings

        return run_drawings(self.record, self.found)

    def __str__(self) -> str:
        return "\n".join(conclusion(self.folder, self.found, self.verdict))

    def __repr__(self) -> str:
        states = self.record.trials["state"].value_counts().to_dict()
        counts = ", ".join(f"{n} {str(state).lower()}" for state, n in states.items())
        return f"RunResult('{printable(str(self.folder))}': {counts or 'no trials'})"

    def _repr_html_(self) -> str:
        best, objective = self.best, str(self.record.manifest.get("objective", "AP"))
        parts = [f"<p>{escape(self.verdict)}</p>"]
        if best is not None:
            defaults = {p.path: p.default for p in self.record.parameters}
            rows = [(path, value, defaults.get(path)) for path, value in best.params.items()]
            title = f"trial {best.trial}, {objective} {percent(best.value)} on val"
            parts.append(_html_table(title, ("parameter", "value", "default"), rows))
        if self.front is not None:
            rows = [(t, percent(v), f"{c:.4g}") for t, v, c, _ in self.front.to_numpy().tolist()]
            parts.append(_html_table("front", ("trial", objective, "cost"), rows))
        parts.append(f"<p>{escape(repr(self))}</p>")
        return _html(parts)


@dataclass(frozen=True, repr=False)
class TableResult(_Result):
    """What an ablation found; `str` gives the table as the terminal has it.

    Attributes
    ----------
    folder : Path
    found : TableFindings
        All that statistics say of it.
    """

    folder: Path
    found: TableFindings

    @property
    def rows(self) -> pd.DataFrame:
        """A row a line of the table: means, deltas, verdicts; see `judged_rows.COLUMNS`."""
        return self.found.judged.copy()

    @property
    def deltas(self) -> pd.DataFrame:
        """Differences to the baseline with their 95 % intervals, in [-1, 1], and verdicts."""
        kept = ["row", "title", "pairs", "delta", "low", "high", "p_holm", "word"]
        frame = self.found.judged
        own = [name for name in kept if name in frame]
        return frame.loc[frame["delta"].notna(), own].reset_index(drop=True)

    @property
    def trainings(self) -> pd.DataFrame:
        """A row a training, those that are to come included."""
        return self.found.trainings.copy()

    @property
    def verdict(self) -> str:
        """The table in words."""
        return printable(" ".join(self.found.sentences))

    def _draws(self) -> _Draws:
        from reports.drawings import table_drawings

        return table_drawings(self.found)

    def __str__(self) -> str:
        from evolve.ablation.files import table_text

        return table_text(self.found)

    def __repr__(self) -> str:
        done = int((self.found.trainings["state"] == "COMPLETE").sum())
        name = printable(str(self.folder))
        return f"TableResult('{name}': {len(self.rows)} rows, {done} trainings complete)"

    def _repr_html_(self) -> str:
        from evolve.ablation.html import render_html
        from evolve.ablation.shown import table_layout

        first, *rest = (escape(printable(one)) for one in self.found.sentences or ("",))
        lines = "".join(f"<li>{one}</li>" for one in rest)
        more = f"<details><summary>Row by row</summary><ul>{lines}</ul></details>" if rest else ""
        table = str(render_html(table_layout(self.found), id="table"))
        return _html([table, f"<p>{first}</p>", more])


# -- from folders ----------------------------------------------------------------------------


def load(folder: str | Path, data: str | None = None) -> RunResult | TableResult:
    """What a run or an ablation in a folder found, finished or not.

    Parameters
    ----------
    folder : str or Path
        Run folder.
    data : str, optional
        Where its data lie now, if they were moved.

    Raises
    ------
    StoreError
        If the folder holds no run, or what it holds cannot be read.

    Examples
    --------
    >>> result = evolve.load("runs/ga-digits")  # doctest: +SKIP
    >>> result.figure("history")                # doctest: +SKIP
    """
    path = Path(folder)
    if kind_of(read_manifest(RunFolder.open(path))) == ABLATION:
        return TableResult(path, find_table(path, data))
    record = read_run(path)
    return RunResult(path, record, find(path, data, record))


def report(
    *folders: str | Path,
    out: str | Path | None = None,
    data: str | None = None,
    formats: Sequence[str] = FORMATS,
) -> Path:
    """Write the report of one run, or of several beside each other; its page.

    Parameters
    ----------
    *folders : str or Path
        Run folders.
    out : str or Path, optional
        Folder of the report; default: `report` in the run folder, of several runs
        `runs/compare-NAMES`.
    data : str, optional
        Where the data lie now, if they were moved.
    formats : sequence of str
        Of html, md and tex.

    Raises
    ------
    StoreError, ReportError
        If there is nothing to report, or a place holds something else.
    """
    from reports.making import make_run_report, make_several_report

    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise EvolveError(f"no format '{unknown[0]}'", "formats", nearest(unknown[0], FORMATS))
    paths, place = [Path(folder) for folder in folders], None if out is None else Path(out)
    if not paths:
        raise EvolveError("there is no run to report", "folders", "give a run folder")
    if len(paths) == 1:
        return make_run_report(paths[0], place, data, tuple(formats))
    return make_several_report(paths, place, data, tuple(formats))


def _config_of(folder: RunFolder) -> dict[str, Any]:
    import yaml

    try:
        tree = yaml.safe_load(folder.best_config.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return tree if isinstance(tree, dict) else {}


def _is_none(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def _plain(value: Any) -> Any:
    """A value as Python has it, not NumPy."""
    return value.item() if hasattr(value, "item") else value


def _html(parts: Iterable[str]) -> str:
    return f'<div class="evolve">{_STYLE}{"".join(parts)}</div>'


def _html_table(title: str, heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    def line(cells: Iterable[Any], tag: str) -> str:
        shown = (f"<{tag}>{escape(printable(_short(cell)))}</{tag}>" for cell in cells)
        return f"<tr>{''.join(shown)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    caption = f"<caption>{escape(title)}</caption>"
    return f"<table>{caption}<thead>{line(heads, 'th')}</thead><tbody>{body}</tbody></table>"


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
