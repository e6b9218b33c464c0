"""A table's findings for people: in a terminal, and as files of Markdown, CSV and LaTeX."""

import math
import numbers
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evolve.ablation.latex import render_latex
from evolve.ablation.render import csv_text, escaped, render_csv, render_markdown
from evolve.ablation.shown import classes_layout, effects_layout, table_layout
from evolve.ablation.terminal import render_text, wrapped_text

if TYPE_CHECKING:
    import pandas as pd

    from evolve.findings.table import TableFindings

LONGEST_NAME = 80

_SEED_COLUMNS = ("row", "title", "seed_index", "seed", "state", "reason")


def table_text(
    found: "TableFindings", width: int = 100, *, ansi: bool = False, encoding: str = "utf-8"
) -> str:
    """The table, then what its design estimates, then the rows in words; as `render_text`."""
    layouts = [table_layout(found), effects_layout(found)]
    parts = [
        render_text(layout, width, ansi=ansi, encoding=encoding)
        for layout in layouts
        if layout is not None
    ]
    if layouts[1] is None and found.no_effects:
        parts.append(wrapped_text(_no_effects(found), width, encoding))
    if found.sentences:
        parts.append("\n".join(wrapped_text(one, width, encoding) for one in found.sentences))
    return "\n\n".join(parts)


def table_files(found: "TableFindings") -> dict[str, str]:
    """What was found as files of the names that they are to have.

    Returns
    -------
    dict of name -> text
        NAME.md and NAME.csv (the table), NAME-rows.csv (all that was judged, with the costs),
        NAME-seeds.csv (every training), NAME.tex (the table), and where there are any -classes
        and -effects as CSV and LaTeX.
    """
    name = file_name(found.table.name)
    texts = {
        f"{name}.md": markdown(found),
        f"{name}.csv": render_csv(table_layout(found, is_named=True)) + "\n",
        f"{name}-rows.csv": _frame_csv(_rows(found)),
        f"{name}-seeds.csv": _frame_csv(_seeds(found)),
    }
    frames = {f"{name}-classes.csv": found.class_deltas, f"{name}-effects.csv": found.effects}
    texts |= {file: _frame_csv(frame) for file, frame in frames.items() if not frame.empty}
    layouts = {
        f"{name}.tex": table_layout(found),
        f"{name}-classes.tex": classes_layout(found),
        f"{name}-effects.tex": effects_layout(found),
    }
    texts |= {
        file: render_latex(layout, label=f"tab:{file.removesuffix('.tex')}")
        for file, layout in layouts.items()
        if layout is not None
    }
    return texts


def file_name(table: str) -> str:
    """The name of a table as one of a file in the folder that it is put into."""
    kept = re.sub(r"[^A-Za-z0-9._+-]+", "-", table).strip(".-")
    return kept[:LONGEST_NAME] or "table"


def markdown(found: "TableFindings") -> str:
    """The table with its notes, what its design estimates, and the rows in words."""
    layout = effects_layout(found)
    parts = [f"# {escaped(found.table.title)}"]
    if found.table.description:
        parts.append(escaped(found.table.description))
    parts.append(render_markdown(table_layout(found)))
    if layout is not None:
        parts += ["## What the ingredients add", render_markdown(layout)]
    elif found.no_effects:
        parts += ["## What the ingredients add", escaped(_no_effects(found))]
    classes = classes_layout(found)
    if classes is not None:
        parts += ["## Class by class", render_markdown(classes)]
    if found.sentences:
        lines = "\n".join(f"- {_item(one)}" for one in found.sentences)
        parts += ["## In words", lines]
    if found.no_classes and found.record is not None:
        parts.append(escaped(f"Some or all classes are not told: {found.no_classes}."))
    return "\n\n".join(parts) + "\n"


def _item(text: str) -> str:
    """An item of a list; what would begin another list or a heading is escaped."""
    return re.sub(r"^(\d*)([-+.)])", r"\1\\\2", escaped(text))


def _no_effects(found: "TableFindings") -> str:
    return f"No effects are told yet: {found.no_effects}."


# -- frames --------------------------------------------------------------------------------


def _rows(found: "TableFindings") -> "pd.DataFrame":
    """The judged frame with baselines and costs."""
    keys = found.judged["row"].tolist()
    more: dict[str, list[Any]] = {"baseline": [found.table.row(key).baseline for key in keys]}
    if found.costs is not None:
        each = [found.costs.row(key) for key in keys]
        more |= {name: [getattr(one, name) for one in each] for name in vars(each[0])}
    more["provisional"] = [found.is_provisional] * len(keys)
    more["train_s"] = [found.train_s[key] for key in keys]
    return found.judged.assign(**more)


def _seeds(found: "TableFindings") -> "pd.DataFrame":
    """Every training with its metrics on the split that is judged on."""
    from evolve.findings.table import training_s

    prefix = "" if found.judged_on == "val" else f"{found.judged_on}/"
    frame = found.trainings[list(_SEED_COLUMNS)].copy()
    for metric in found.table.metrics:
        frame[metric] = [
            each.get(prefix + metric, math.nan) for each in found.trainings["metrics"]
        ]
    frame["train_s"] = [
        training_s(Path(str(folder))) if state == "COMPLETE" else math.nan
        for state, folder in zip(found.trainings["state"], found.trainings["folder"], strict=True)
    ]
    return frame


def _frame_csv(frame: "pd.DataFrame") -> str:
    lines = frame.itertuples(index=False, name=None)
    return csv_text([frame.columns.tolist(), *(list(_plain(line)) for line in lines)])


def _plain(line: tuple[Any, ...]) -> Iterator[str | float]:
    """Cells; empty for what is unknown."""
    for value in line:
        if isinstance(value, tuple | list):
            yield "; ".join(map(str, value))
        elif isinstance(value, numbers.Real) and not isinstance(value, bool):
            yield "" if math.isnan(value) else value  # type: ignore[misc]
        else:
            yield "" if value is None else str(value)
