"""Rows that get seeds until their verdict stands, with the error declared and spent look by look.

The numbers of seeds at which rows are judged, the looks, are declared before anything is trained.
Each look may spend its part of alpha, and at each the rows whose verdict does not stand yet share
that part by Holm; a row that has its word hands its share on to the others. By the union bound
the chance of one false word or more is alpha at most over all looks and rows together, whatever
the looks have in common. A row that stands keeps its word and gets no more seeds; nor does one
that could not be trained with any seed up to a look.

The interval of a row that stood early is that of its seeds, by itself: it is not widened for the
looks, and holds the truth somewhat less often than 95 % (`tests/bench/bench_ablation_stats.py`).

References
----------
K. K. G. Lan and D. L. DeMets, "Discrete sequential boundaries for clinical trials", Biometrika 70
(1983) 659-663: spending. K. Kim and D. L. DeMets, "Design and analysis of group sequential tests
based on the type I error spending rate function", Biometrika 74 (1987) 149-154: powers.
W. Maurer and F. Bretz, "Multiple testing in group sequential trials using graphical approaches",
Statistics in Biopharmaceutical Research 5 (2013) 311-320: handing on the share of a rejected
hypothesis. Here a look's part is linear in the share of a hypothesis, which their method asks for.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd
from scipy import special

from evolve.analysis.contrasts import ImageValues, row_deltas
from evolve.analysis.decisions import ALPHA, REGION, Decision, Rule, decide, with_outlook
from evolve.analysis.deltas import Delta
from evolve.analysis.judged_rows import METRICS, Baseline, Lines, references_of
from evolve.analysis.outlook import Aim, is_hopeless

LOOKS = (3, 4, 6, 8, 11, 16)

_ENDED = ("COMPLETE", "FAIL")
_POWER = 1.0  # of the spending: few seeds have so few degrees of freedom that less finds nothing


def levels(
    looks: Sequence[int], alpha: float = ALPHA, *, power: float | None = _POWER
) -> tuple[float, ...]:
    """The part of alpha that each look spends; they add up to alpha.

    Parameters
    ----------
    looks : sequence of int
        Numbers of seeds, rising.
    alpha : float
    power : float, optional
        By a look at share t of the seeds, alpha t^power is spent; None for a spending like
        O'Brien and Fleming's, which leaves nearly all to the last looks.
    """
    if list(looks) != sorted(set(looks)) or not looks or looks[0] < 2:
        raise ValueError(f"looks are rising numbers of seeds from 2 on, not {tuple(looks)}")
    shares = [look / looks[-1] for look in looks]
    spent = [alpha * share**power if power else _like_obrien(share, alpha) for share in shares]
    return tuple(now - before for now, before in zip(spent, [0.0, *spent], strict=False))


def _like_obrien(share: float, alpha: float) -> float:
    return 2 * float(special.ndtr(special.ndtri(alpha / 2) / math.sqrt(share)))


@dataclass
class _State:
    """What has been found up to a look."""

    deltas: dict[str, Delta] = field(default_factory=dict)
    decisions: dict[str, Decision] = field(default_factory=dict)
    look: dict[str, int] = field(default_factory=dict)  # seeds at a row's last look
    stands: dict[str, str] = field(default_factory=dict)  # word, or hopeless

    def count(self, *words: str) -> int:
        return sum(word in words for word in self.stands.values())


@dataclass(frozen=True)
class Looks:
    """Judges rows again and again, as declared.

    Attributes
    ----------
    looks : tuple of int
    alpha, region : float
        As for `judge_table`.
    power : float or None
        As for `levels`.
    """

    looks: tuple[int, ...] = LOOKS
    alpha: float = ALPHA
    region: float = REGION
    power: float | None = _POWER

    def run(self, rows: Sequence[str], replay: "Replay", *, is_over: bool) -> _State:
        """Replay the looks from the first on, as far as their trainings have ended.

        Where it is over before the last look, what is left of alpha is spent on what there is.
        """
        state, parts = _State(), levels(self.looks, self.alpha, power=self.power)
        for place, look in enumerate(self.looks):
            due = [row for row in rows if row not in state.stands]
            ready = replay.is_ready(due, look)
            if not due or not (ready or is_over):
                break
            part = parts[place] if ready else sum(parts[place:])
            self._look(state, look, part, replay.deltas(due, look), len(rows))
            if not ready:
                break
        return state

    def _look(
        self, state: _State, look: int, part: float, found: Mapping[str, Delta], family: int
    ) -> None:
        effects = family - state.count("helps", "hurts")
        sames = family - state.count("no effect")
        rule = Rule(self.alpha, self.region, part / self.alpha, effects, sames)
        decisions = decide(found, rule)
        state.deltas.update(found)
        state.decisions.update(decisions)
        state.look.update(dict.fromkeys(found, look))
        last = Aim(self.alpha / effects, self.alpha / sames, self.region)
        for row, decision in decisions.items():
            if decision.word != "undecided":
                state.stands[row] = decision.word
                continue
            state.decisions[row] = with_outlook(decision, found[row], last)
            if not found[row].pairs or is_hopeless(found[row], last):
                state.stands[row] = "hopeless"


class Replay:
    """Deltas of rows at a look, each to its own baseline."""

    def __init__(
        self,
        trainings: pd.DataFrame,
        references: Mapping[str, str],
        column: str,
        image_values: ImageValues | None,
        images: int | None,
    ) -> None:
        self._trainings, self._references, self._column = trainings, references, column
        self._image_values, self._images = image_values, images

    def is_ready(self, rows: Sequence[str], look: int) -> bool:
        """Whether the first `look` trainings of these rows and their baselines have ended."""
        early = self._trainings[self._trainings["seed_index"] < look]
        ended = early[early["state"].isin(_ENDED)].groupby("row")["seed_index"].nunique()
        needed = {*rows, *(self._references[row] for row in rows)}
        return all(ended.get(row, 0) == look for row in needed)

    def deltas(self, rows: Sequence[str], look: float = math.inf) -> dict[str, Delta]:
        """Deltas from the first `look` seeds alone, moderated by all rows of the table."""
        early = self._trainings[self._trainings["seed_index"] < look]
        values, images = self._image_values, self._images
        found = row_deltas(
            early, self._references, self._column, image_values=values, images=images
        )
        return {row: found[row] for row in rows}


def judge_looks(
    trainings: pd.DataFrame,
    rows: Sequence[str],
    baseline: Baseline,
    looks: Looks | None = None,
    *,
    column: str = "value_test",
    metric: str = "AP",
    split: str = "test",
    also: Sequence[str] = METRICS,
    image_values: ImageValues | None = None,
    images: int | None = None,
    is_over: bool = False,
) -> pd.DataFrame:
    """Say of each row whether its verdict stands, and how many seeds it is to have else.

    Parameters
    ----------
    trainings : DataFrame
        All that has been trained so far; as for `judge_table`. Seeds of a row beyond its last
        look are not counted before the next look has all it needs.
    rows, baseline, column, metric, split, also, image_values, images
        As for `judge_table`.
    looks : Looks, optional
        As declared.
    is_over : bool
        The budget has ended: what is left of alpha is spent on what has been trained.

    Returns
    -------
    DataFrame
        As `judge_table`'s, from the seeds up to the last look of each row (of all rows up to the
        first look where it has not taken place), p_holm and p_same after spending, so that they
        are compared with alpha; with look (seeds at it, 0 before the first), stands (whether no
        more seeds are to be trained: the word stands, or seeds alone cannot bring one), and seeds
        (how many the row is to have; a baseline as many as any row that is paired with it, and
        one that is judged itself as many as it takes for both).
    """
    looks = looks or Looks()
    references = references_of(rows, baseline)
    others = list(references)
    replay = Replay(trainings, references, column, image_values, images)
    state = looks.run(others, replay, is_over=is_over)
    unseen = [row for row in others if row not in state.deltas]
    deltas = state.deltas | replay.deltas(unseen)
    decisions = state.decisions | {row: _not_yet(deltas[row], looks) for row in unseen}
    used = _used(trainings, state.look)
    lines = Lines(used, references, looks.region, column, metric, split, also, images)
    frame = lines.frame(rows, deltas, decisions)
    return pd.concat([frame, _progress(frame, references, state, looks.looks)], axis=1)


def _not_yet(delta: Delta, looks: Looks) -> Decision:
    """The decision on a row before its first look."""
    nan = math.nan
    return Decision("undecided", nan, "", nan, nan, max(1, looks.looks[0] - delta.pairs))


def _used(trainings: pd.DataFrame, look: Mapping[str, int]) -> pd.DataFrame:
    """Trainings up to the last look of each row; all of a row without one, as baselines are."""
    limit = trainings["row"].map(dict(look)).fillna(math.inf)
    return trainings[trainings["seed_index"] < limit]


def _progress(
    frame: pd.DataFrame, references: Mapping[str, str], state: _State, looks: Sequence[int]
) -> pd.DataFrame:
    """Columns look, stands and seeds."""
    at = {row: state.look.get(row, 0) for row in frame["row"]}
    later = {row: next((n for n in looks if n > seen), seen) for row, seen in at.items()}
    wanted = {row: at[row] if row in state.stands else later[row] for row in at}
    stands = {row: row in state.stands for row in at}
    judged = {row: (at[row], wanted[row], stands[row]) for row in references}
    for row in at:
        paired = [judged[other] for other, base in references.items() if base == row]
        if row not in references:
            at[row] = max((look for look, *_ in paired), default=0)
            stands[row] = all(stands for *_, stands in paired)
            wanted[row] = 0 if paired or not references else looks[0]
        wanted[row] = max(wanted[row], *(seeds for _, seeds, _ in paired), 0)
    names = list(at)
    return pd.DataFrame(
        {
            "look": [at[row] for row in names],
            "stands": [stands[row] for row in names],
            "seeds": [wanted[row] for row in names],
        }
    )
