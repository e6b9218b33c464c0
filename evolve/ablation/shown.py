"""The findings of a table as layouts: the table itself, and what its design estimates."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from evolve.ablation.judged import judged_layout, signed
from evolve.ablation.layout import MISSING, Cell, Column, Layout, Note, Row
from evolve.ablation.paper import PaperTable, load_paper_table
from evolve.analysis.phrases import listed, plural, points, probability
from evolve.analysis.sequential import levels

if TYPE_CHECKING:
    from evolve.findings.table import TableFindings

_OVER = {
    "seeds and images": "seeds and images",
    "seeds": "seeds alone",
    "images": "images alone",
}
MOST_CLASSES = 12
_TESTS = {"moderated t": "moderated t test", "t": "t test", "sign-flip": "sign-flip test"}


def table_layout(
    found: "TableFindings", *, is_named: bool = False, is_brief: bool = False
) -> Layout:
    """The table with its costs, and notes on how it was judged.

    Parameters
    ----------
    found : TableFindings
    is_named : bool
        As for `judged_layout`.
    is_brief : bool
        Leave the costs of networks and all notes out but why trainings failed, how many seeds are
        lacking and how far the trainings are: for a table that is drawn again and again.
    """
    paper = paper_of(found)
    notes = [found.unfinished] * bool(found.unfinished) if is_brief else _notes(found, paper)
    return judged_layout(
        found.table,
        found.judged,
        split=found.judged_on,
        paper=paper,
        costs=None if is_brief else found.costs,
        train_s={} if is_brief else found.train_s,
        notes=tuple(notes),
        is_named=is_named,
        is_provisional=found.is_provisional,
    )


def paper_of(found: "TableFindings") -> PaperTable | None:
    """The published table that the rows stand beside."""
    table = found.table
    if table.paper is None or all(row.paper_row is None for row in table.rows):
        return None
    return load_paper_table(table.paper)


def _notes(found: "TableFindings", paper: PaperTable | None) -> Iterator[str]:
    yield from _baselines(found)
    yield _trainings(found)
    yield _verdicts(found)
    yield from _looks(found)
    if found.record is not None and any(row.after for row in found.record.rows):
        yield "train does not count the classifiers that rows start from"
    if found.run.tuned:
        yield f"GA has {found.run.tuned}"
    if paper is not None:
        yield (
            f"As published: Table {paper.number} of arXiv:2004.10934, with other data and "
            "networks; its differences have no intervals."
        )
    if found.no_images and found.record is not None:
        yield f"Images have no part in some or all intervals: {found.no_images}."
    if found.unfinished:
        yield found.unfinished


def _baselines(found: "TableFindings") -> Iterator[str]:
    """Which rows are compared with which, where it is not one with all."""
    groups = found.table.groups()
    if len(groups) < 2:
        return
    titles = {row.key: row.title for row in found.table.rows}
    for base, rows in groups.items():
        others = listed([titles[key] for key in rows if key != base])
        yield f"Compared with {titles[base]}: {others}"


def _trainings(found: "TableFindings") -> str:
    run = found.run
    seeds = f"{run.looks[0]} to {run.looks[-1]} seeds" if run.seeds is None else plural(
        run.seeds, "seed"
    )  # fmt: skip
    sources = {str(one) for one in found.judged["source"].dropna()} - {"none", ""}
    text = f"{seeds} a row, {'the same' if run.seeds else 'the first of one list'} for all"
    if found.images:
        text += f"; {plural(found.images, 'image')} of {found.judged_on}"
    over = [words for source, words in _OVER.items() if source in sources]
    text += f"; 95 % intervals over {listed(over, 'or')}" if over else ""
    return text


def _verdicts(found: "TableFindings") -> str:
    judged = found.judged
    rows = int((judged["word"] != "baseline").sum())
    tests = [name for key, name in _TESTS.items() if (judged["test"] == key).any()]
    over = f" after Holm over {rows} rows" if rows > 1 else ""
    used = f" ({listed(tests, 'or')})" if tests else ""
    return (
        f"helps, hurts: p at most {found.run.alpha:g}{over}{used}; no effect: surely within "
        f"\u00b1{points(found.run.region)} {found.objective} points, by the same rule"
    )


def _looks(found: "TableFindings") -> Iterator[str]:
    """Looks and the error that each spends, where they were declared."""
    run = found.run
    if run.looks:
        parts = ", ".join(f"{part:.3f}" for part in levels(run.looks, run.alpha))
        yield (
            "Declared before the first training: rows are judged at "
            f"{listed([str(look) for look in run.looks])} seeds, which spend {parts} of "
            f"{run.alpha:g}; a row that has its word gets no more seeds."
        )


# -- classes -------------------------------------------------------------------------------


def classes_layout(found: "TableFindings") -> Layout | None:
    """What each row changes in each class; None where that is not known.

    Of very many classes those are shown in which any row changes most.
    """
    deltas = found.class_deltas
    if deltas.empty:
        return None
    by_class = deltas.groupby("class", sort=False)["mean"].agg(lambda means: means.abs().max())
    largest = by_class.sort_values(ascending=False, kind="stable").index[:MOST_CLASSES]
    shown = [name for name in by_class.index if name in set(largest)]
    lines = {(one["row"], one["class"]): one for one in deltas.to_dict("records")}
    rows = [row for row in found.table.rows if (row.key, shown[0]) in lines]
    more = len(by_class) - len(shown)

    def cells(row: str) -> list[Cell]:
        return [_of_class(lines.get((row, name)), found) for name in shown]

    notes = [
        f"AP points on {found.judged_on} against the baseline, with half of the 95 % interval; "
        f"bold: not chance (p at most {found.run.alpha:g} after Holm over the classes of a row)"
    ]
    if more:
        others = "1 more class" if more == 1 else f"{more} more classes"
        notes.append(f"and {others}, in which rows change less")
    return Layout(
        title=f"Class by class ({found.judged_on})",
        columns=(Column("row"), *(Column(str(name), "right") for name in shown)),
        rows=tuple(Row((Cell(row.title), *cells(row.key))) for row in rows),
        notes=tuple(Note("", text) for text in notes),
    )


def _of_class(line: dict[Any, Any] | None, found: "TableFindings") -> Cell:
    if line is None or math.isnan(line["mean"]):
        return Cell(MISSING)
    reach = (line["high"] - line["low"]) / 2
    text = signed(line["mean"]) + ("" if math.isnan(reach) else f" \u00b1{points(reach)}")
    is_sure = line["p_holm"] <= found.run.alpha  # never of NaN
    return Cell(text, bold=bool(is_sure), value=round(100 * line["mean"], 4))


# -- effects -------------------------------------------------------------------------------


def effects_layout(found: "TableFindings") -> Layout | None:
    """Effects, interactions or Shapley values, where the design gives any."""
    if found.effects.empty:
        return None
    records = cast("list[dict[str, Any]]", found.effects.to_dict("records"))
    is_shapley = "ingredient" in found.effects
    aliased = any(record.get("aliases") for record in records)
    unit = f"{found.objective} points on {found.judged_on}"
    columns = [
        Column("ingredient" if is_shapley else "effect"),
        Column("\u0394", "right"),
        Column("95 %", "right"),
        Column("n", "right"),
        Column("p (Holm)", "right"),
        *([Column("together with")] if aliased else []),
    ]
    notes = [Note("", _meaning(found, is_shapley))]
    if aliased:
        text = "together with: effects that these rows cannot tell from it; a minus takes away"
        notes.append(Note("", text))
    if found.no_effects:
        notes.append(Note("", f"Missing: {found.no_effects}."))
    return Layout(
        title=f"{'Shapley values' if is_shapley else 'Effects'} in {unit}",
        columns=tuple(columns),
        rows=tuple(_effect(record, aliased) for record in records),
        notes=tuple(notes),
    )


def _meaning(found: "TableFindings", is_shapley: bool) -> str:
    count = len(found.effects)
    holm = f"; p after Holm over {count}" if count > 1 else ""
    if is_shapley:
        return f"What each adds on average over all orders of switching them on{holm}."
    if found.table.design == "pairs":
        return f"What two add together beyond what each adds alone{holm}."
    return (
        "An ingredient: what it adds on average over what the others are; two: how much more one "
        f"adds where the other is on{holm}."
    )


def _effect(line: dict[str, Any], aliased: bool) -> Row:
    name = str(line.get("ingredient") or line.get("name"))
    low, high = float(line["low"]), float(line["high"])
    span = MISSING if math.isnan(low) else f"{points(low)} to {points(high)}"
    p = float(line["p_holm"])
    cells = [
        Cell(name),
        Cell(signed(line["mean"]), value=round(100 * line["mean"], 4)),
        Cell(span),
        Cell(str(line["pairs"]), value=int(line["pairs"])),
        Cell(MISSING) if math.isnan(p) else Cell(probability(p), value=round(p, 6)),
    ]
    return Row((*cells, *([Cell(", ".join(line["aliases"]))] if aliased else [])))
