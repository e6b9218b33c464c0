"""What differences a table can find, told before it is trained."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from evolve.analysis.contrasts import row_delta
from evolve.analysis.decisions import ALPHA
from evolve.analysis.outlook import detectable_difference
from evolve.analysis.phrases import plural
from evolve.sharing import begun
from evolve.store.comparison import PRETRAIN, ComparisonRecord, read_comparison
from evolve.store.folder import RunFolder

GUESSED_SD = 0.01  # of the difference of two rows between seeds: a point of AP
POWER = 0.8
MORE = (5, 8, 16)


@dataclass(frozen=True)
class Scatter:
    """How much the difference of two rows scatters between seeds.

    Attributes
    ----------
    sd : float
        In [0, 1].
    source : str
        Where that is from, in words.
    """

    sd: float
    source: str


def scatter_of(runs: Iterable[RunFolder], objective: str) -> Scatter:
    """The scatter that comparisons of runs have shown, all pooled; else a guess.

    Parameters
    ----------
    runs : iterable of RunFolder
        Of the same data and protocol.
    objective : str
        Comparisons of other metrics do not count.
    """
    squares, freedom, names = 0.0, 0, []
    for run in runs:
        before = freedom
        for name in begun(run):
            record = read_comparison(run.path, name) if name != PRETRAIN else None
            if record is None or record.plan.objective != objective:
                continue
            for sd, degrees in _scatters(record):
                squares, freedom = squares + sd**2 * degrees, freedom + degrees
        names += [run.path.name] if freedom > before else []
    if not freedom:
        return Scatter(GUESSED_SD, "guessed")
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return Scatter(math.sqrt(squares / freedom), f"as in {shown}")


def _scatters(record: ComparisonRecord) -> Iterable[tuple[float, int]]:
    """Standard deviation of each row's difference to the first, and its degrees of freedom."""
    first, *others = [row.key for row in record.rows]
    for row in others:
        delta = row_delta(record.trainings, first, row)
        if delta.pairs >= 2:
            yield delta.sd, delta.pairs - 1


def expectation(
    scatter: Scatter, rows: int, seeds: int, objective: str, alpha: float = ALPHA
) -> list[str]:
    """What a table of `rows` besides the baselines finds with so many seeds, in lines."""
    if seeds < 2:
        return ["finds  no difference for sure: one seed does not tell how much seeds matter"]
    if scatter.sd == 0:
        return []
    counts = [seeds, *[count for count in MORE if count > seeds][:2]]
    found = [(n, 100 * _detectable(scatter.sd, n, rows, alpha)) for n in counts]
    (_, own), *more = found
    points = f"{100 * scatter.sd:.1f} points"
    rest = "; ".join(f"{value:.1f} with {count}" for count, value in more)
    return [
        f"finds  differences of {own:.1f} {objective} points with {plural(seeds, 'seed')} in 8 of "
        f"10 tables" + (f" ({rest})" if rest else ""),
        f"       if they scatter by {points} between seeds, {scatter.source}; "
        "what the images leave open comes on top",
    ]


def _detectable(sd: float, seeds: int, rows: int, alpha: float) -> float:
    return detectable_difference(seeds, sd, rows=max(1, rows), alpha=alpha, power=POWER)
