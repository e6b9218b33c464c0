"""The front of a run with two objectives, made ready for the page."""

from typing import Any

from evolve.findings import Findings
from evolve.findings.front import Front, FrontTrial, front_frame
from evolve.objectives import cost_label, cost_number, cost_text
from reports.found_tables import spread_text
from reports.tables import Column, Row, Table, frame_to_csv
from reports.text import MISSING, clean, percent

MOST_DOMINATED = 20
"""Dominated trials in the page, the best first; the CSV has all."""


def front_context(found: Findings | None) -> dict[str, Any]:
    """What templates need of the front; None where a run has one objective."""
    front = None if found is None else found.front
    has_members = front is not None and bool(front.members)
    return {
        "front": front_table(front) if front and has_members else None,
        "front_sentence": "" if front is None else clean(front.sentence),
        "front_about": "" if front is None else _about(front),
    }


def front_files(found: Findings) -> dict[str, str]:
    """CSV of every complete trial: values, what dominates it, hypervolume after it."""
    if found.front is None:
        return {}
    return {"front.csv": frame_to_csv(front_frame(found.front))}


def front_table(front: Front) -> Table:
    """Trials on the front from the cheapest on, then the best of those that are dominated."""
    columns = (
        Column("trial", "Trial", "number"),
        Column("cost", cost_label(front.cost), "number"),
        Column("value", f"{clean(front.objective)}, val", "number"),
        *_judged_column(front),
        Column("front", "Front"),
    )
    others = [one for one in front.trials if not one.on_front]
    others.sort(key=lambda one: (-one.value, one.trial))
    shown = (*front.members, *others[:MOST_DOMINATED])
    return Table(columns, tuple(_row(one, front) for one in shown))


def _judged_column(front: Front) -> tuple[Column, ...]:
    if not front.rows:
        return ()
    return (Column("judged", f"{clean(front.objective)}, {clean(front.judged_on)}", "number"),)


def _row(one: FrontTrial, front: Front) -> Row:
    confirmed = next((row for row in front.rows if row.trial == one.trial), None)
    judged = (spread_text(confirmed.judged) if confirmed else MISSING,) if front.rows else ()
    place = "on the front" if one.on_front else f"dominated by trial {one.dominated_by}"
    if confirmed is not None and confirmed.judged.count:
        title = next((r.title for r in front.rows if r.key == confirmed.dominated_by), "")
        place += f"; with fresh seeds {f'dominated by {clean(title)}' if title else 'it stays'}"
    cells = (str(one.trial), cost_number(front.cost, one.cost), percent(one.value), *judged, place)
    return Row(cells, "best" if one.on_front else "")


def _about(front: Front) -> str:
    """How the second objective was measured, and how much the front covers."""
    parts = []
    if front.protocol:
        on = f" on {clean(front.device)}" if front.device else ""
        parts.append(f"{front.cost[:1].upper()}{front.cost[1:]}{on}: {clean(front.protocol)}.")
    corner = cost_text(front.cost, front.reference.cost)
    box = front.reference.cost * (1.0 - front.reference.value)
    share = percent(front.area / box) if box else MISSING
    parts.append(
        f"Hypervolume {share} % of the box between {clean(front.objective)} 0 at "
        f"{corner} and a perfect detector that costs nothing."
    )
    return " ".join(parts)
