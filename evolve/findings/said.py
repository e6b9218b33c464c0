"""What a run found, in lines for a terminal, a notebook, or any other place that shows text."""

from pathlib import Path
from typing import TYPE_CHECKING

from evolve.objectives import cost_text
from evolve.outside_text import printable
from evolve.store.comparison import read_comparison
from evolve.units import percent

if TYPE_CHECKING:
    from evolve.findings import Findings


def conclusion(path: Path, found: "Findings", verdict: str) -> list[str]:
    """What is said of a run in the end.

    Parameters
    ----------
    path : Path
        Of the run.
    found : Findings
    verdict : str
        What is said where there is no final comparison.
    """
    lines = [*compared(path), *concluded(found)] if found.final else [printable(verdict)]
    return lines + front_lines(found)


def concluded(found: "Findings") -> list[str]:
    """The verdict, how much was luck, and what mattered: a paragraph each, where it is known."""
    assert found.final is not None
    luck = found.final.luck.sentence if found.final.luck else ""
    said = (found.final.unfinished, found.final.sentence, luck, found.words)
    return [printable(text) for text in said if text]


def front_lines(found: "Findings") -> list[str]:
    """The front of a run with two objectives: what is on it, a line a trial, and what stays."""
    front = found.front
    if front is None:
        return []
    rows = {row.trial: row for row in front.rows if row.judged.count}
    lines = []
    for one in front.members:
        line = f"  trial {one.trial}  {front.objective} {percent(one.value)} on val"
        line += f", {cost_text(front.cost, one.cost)}"
        if row := rows.get(one.trial):
            line += f"; {percent(row.judged.mean)} on {front.judged_on} with fresh seeds"
            line += "" if row.stays else ", dominated"
        lines.append(line)
    return [f"front of {front.objective} and {front.cost}", *lines, printable(front.sentence)]


def compared(path: Path) -> list[str]:
    """What the final comparison of a run found, a line a row; nothing if there was none."""
    record = read_comparison(path)
    if record is None:
        return []
    plan = record.plan
    lines = [f"{plan.title} on {plan.judged_on}, {plan.objective} in percent"]
    for row in record.rows:
        values = record.of_row(row.key)["value_test"]
        found = f"{percent(values.mean())} mean, {percent(values.std())} sd"
        lines.append(f"  {printable(row.title)}  {found}, {values.count()} of {len(values)} seeds")
    return lines
