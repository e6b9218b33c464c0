"""What a run found, made ready for the page: sections, figures, captions."""

import math
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from evolve.analysis.phrases import drawn_of, plural
from evolve.analysis.surrogate import MOST_TRIALS
from evolve.findings import Final, Findings, RowFinding
from reports import found_figures, found_tables
from reports.found_figures import MOST_PARAMETERS
from reports.tables import Table
from reports.text import clean, percent, points

FOUND_TITLES = {
    "rows": "Every training of the comparison",
    "importance": "Importance of the parameters",
    "path": "From the defaults to the winner",
}


@dataclass(frozen=True)
class Tile:
    """A number of the first screen; `detail` stands under it."""

    kind: str
    title: str
    about: str
    number: str
    unit: str
    detail: str


def found_context(found: Findings | None) -> dict[str, Any]:
    """What templates need beside the search; None for what was not found."""
    final = None if found is None else found.final
    path = None if found is None or found.path is None or not found.path.steps else found.path
    with_shares = found is not None and not found.importances.frame.empty
    objective = "" if found is None else clean(found.objective)
    return {
        "found": found,
        "final": final,
        "judged_on": "" if final is None else clean(final.judged_on),
        "tiles": () if final is None else tiles(final, objective),
        "comparison": final and found_tables.comparison_table(final, objective),
        "luck": _luck(final, objective),
        "luck_sentence": clean(final.luck.sentence) if final and final.luck else "",
        "mattered": "" if found is None else clean(found.words).replace("->", "→"),
        "importance": found_tables.importance_table(found) if found and with_shares else None,
        "no_importance": "" if found is None else clean(found.importances.reason),
        "path": path and found_tables.path_table(path),
        "no_path": "" if found is None else clean(found.no_path),
        "training": "" if path is None else clean(path.training),
        "moved": "" if found is None or not found.moved else _moved(found.moved),
    }


def _moved(trials: int) -> str:
    return (
        f"Importances and path leave out {plural(trials, 'complete trial')} that took over "
        "another's training: their parameters changed on the way, so no one configuration gave "
        "their values."
    )


def _luck(final: Final | None, objective: str) -> Table | None:
    if final is None or final.luck is None or not final.luck.sentence:
        return None
    return found_tables.luck_table(final, objective)


def tiles(final: Final, objective: str) -> tuple[Tile, ...]:
    """Winner, defaults, and their difference; the defaults alone where they won."""
    default = final.rows[0]
    if not final.winner:
        return ()
    winner = final.row(final.winner)
    if winner.key == default.key:
        return (_tile("best", "Winner", "the defaults", default, final, objective),)
    about = clean(winner.title, longest=30)
    return (
        _tile("best", "Winner", about, winner, final, objective),
        _tile("default", "Defaults", "", default, final, objective),
        _difference(winner),
    )


def _tile(
    kind: str, title: str, about: str, row: RowFinding, final: Final, objective: str
) -> Tile:
    mean = f"{final.judged_on}, mean of {plural(row.judged.count, 'seed')}"
    sd = "" if math.isnan(row.judged.sd) else f", sd {percent(row.judged.sd)}"
    return Tile(kind, title, about, percent(row.judged.mean), objective, clean(mean + sd))


def _difference(winner: RowFinding) -> Tile:
    assert winner.delta is not None
    interval = found_tables.span_text(winner.delta.low, winner.delta.high)
    detail = "no interval" if math.isnan(winner.delta.low) else f"95 %: {interval}"
    return Tile("difference", "Difference", "", points(winner.delta.mean), "points", detail)


def found_drawings(found: Findings | None, objective: str) -> dict[str, tuple[Figure | None, ...]]:
    """Figures by name, each wide and narrow."""
    if found is None:
        return {}
    drawn: dict[str, tuple[Figure | None, ...]] = {}
    shapes = (True, False)
    final, path, frame = found.final, found.path, found.importances.frame
    if final is not None and any(row.judged.count for row in final.rows):
        drawn["rows"] = tuple(
            found_figures.draw_rows(final, objective, wide=wide) for wide in shapes
        )
    drawn["importance"] = tuple(found_figures.draw_importance(frame, wide=w) for w in shapes)
    if path is not None:
        drawn["path"] = tuple(found_figures.draw_path(path, objective, wide=w) for w in shapes)
    return drawn


def found_caption(name: str, objective: str, found: Findings | None) -> str:
    """What a figure of `found_drawings` shows."""
    assert found is not None
    tell = {"rows": _rows_caption, "importance": _importance_caption, "path": _path_caption}
    return clean(tell[name](found, objective))


def _rows_caption(found: Findings, objective: str) -> str:
    final = found.final
    assert final is not None
    over = "seeds alone" if final.no_images else "seeds and images"
    return (
        f"{objective} on {final.judged_on} of every training with a fresh seed, and the mean of "
        f"each row; beside it the mean difference to the defaults, seed by seed, with its 95 % "
        f"interval over {over}."
    )


def _importance_caption(found: Findings, objective: str) -> str:
    used, frame = found.importances, found.importances.frame
    count = frame["parameter"].nunique()
    cut = f" The first {MOST_PARAMETERS} of {count} are shown." if count > MOST_PARAMETERS else ""
    return (
        "PED-ANOVA tells which parameters separate the best trials from the others, fANOVA which "
        f"explain the spread of {objective} over {drawn_of(used.trials, used.of)}. "
        "A share below its mark is no more than chance gives to one of so many parameters when "
        f"none has an effect (95 % of shuffles).{cut}"
    )


def _path_caption(found: Findings, objective: str) -> str:
    path = found.path
    assert path is not None
    measured = (
        f"; filled bars are gains measured on {path.split} with fresh seeds"
        if path.trained
        else ""
    )
    return (
        "One change after the other, each the best next one by a surrogate of "
        f"{drawn_of(min(path.trials, MOST_TRIALS), path.trials)}. Outlined bars are what it "
        f"estimates for {objective} on val{measured}. The order matters: a gain counts given the "
        "changes above it."
    )
