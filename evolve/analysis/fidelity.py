"""What an early value says of the final one, where a scheduler has acted on it.

Of the trials that were trained to their end, the value at the epoch at which others were stopped
is compared with the final value. They are no random sample: most of them are there *because* their
early values were good, so the range is narrowed and a correlation comes out lower than over all
trials. Trials that were spared or promoted by lot are therefore told apart. A regression of the
final value on the early one has no such bias where the early value alone decided, so it is what
tells of the stopped trials. Frames in, frames out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from evolve.analysis.phrases import MINUS, plural, probability

STOPPING = ("asha", "hyperband", "median", "promote")  # schedulers that stop trials
SPARED = {"asha": 3, "median": 3}  # first trials, which those never stop

FEWEST = 5  # trials for a correlation
FEWEST_TOLD = 8  # for an interval and a verdict
MOST_TRIALS = 500  # of more, so many are drawn at random
MOST_RUNGS = 4
RESAMPLES = 1000
ALL = "all"

PAIR_COLUMNS = ("number", "epoch", "early", "final", "group")
RANK_COLUMNS = ("epoch", "group", "trials", "spearman", "spearman_low", "spearman_high",
                "kendall", "kendall_low", "kendall_high")  # fmt: skip

_SEED = 0
_MUCH, _SOME = 0.8, 0.5

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Rule:
    """How a run stopped trials.

    Attributes
    ----------
    scheduler : str
    promote : int
        Trials that the scheduler of this name promotes for their values.
    """

    scheduler: str
    promote: int = 0


@dataclass(frozen=True)
class Audit:
    """What early values say of final ones.

    Attributes
    ----------
    scheduler : str
    epoch : int
        At which most trials were stopped; 0 if none was.
    stopped : int
        Trials that were stopped, at any epoch.
    pairs : DataFrame
        number, epoch, early and final value, group (best, by lot, defaults, spared, others) of
        each trial that was trained to its end, for each epoch at which trials were stopped.
    ranks : DataFrame
        epoch, group ("all" for all of them), trials, spearman and kendall, each with the ends of
        its 95 % bootstrap interval, NaN where there are too few.
    winner : int or None
        Trial with the highest final value.
    overtakes : float
        Probability that any of the trials stopped at `epoch` would have had a higher value than
        the winner; NaN where it cannot be told.
    likeliest : int or None
        The one of these that had the best chance, with
    likeliest_p : float
    sentence, caveat : str
        The verdict, and what it must be read with.
    """

    scheduler: str
    epoch: int
    stopped: int
    pairs: pd.DataFrame
    ranks: pd.DataFrame
    winner: int | None = None
    overtakes: float = math.nan
    likeliest: int | None = None
    likeliest_p: float = math.nan
    sentence: str = ""
    caveat: str = ""

    @property
    def shown(self) -> pd.DataFrame:
        """The pairs at the epoch at which most trials were stopped."""
        return self.pairs[self.pairs["epoch"] == self.epoch]


def audit(trials: pd.DataFrame, epochs: pd.DataFrame, rule: Rule) -> Audit | None:
    """Audit the early stopping of a run; None where its scheduler stops nothing.

    Parameters
    ----------
    trials : DataFrame
        number, state, value (of a complete trial its final one).
    epochs : DataFrame
        number, epoch, value: each epoch of a trial as the scheduler saw it.
    rule : Rule
    """
    if rule.scheduler not in STOPPING:
        return None
    seen = epochs.dropna(subset=["value"]).drop_duplicates(["number", "epoch"])
    pruned = seen[seen["number"].isin(trials.loc[trials["state"] == "PRUNED", "number"])]
    last = pruned.loc[pruned.groupby("number")["epoch"].idxmax()] if len(pruned) else pruned
    complete = trials[(trials["state"] == "COMPLETE") & trials["value"].notna()]
    stops = [int(at) for at in last["epoch"].value_counts().index[:MOST_RUNGS]]
    pairs = pd.concat([_pairs(complete, seen, at, rule) for at in sorted(stops)] or [_no_pairs()])
    if not stops:
        sentence = "No trial was stopped early, so there is nothing to audit yet."
        return Audit(rule.scheduler, 0, 0, pairs, _ranks(pairs), sentence=sentence)
    told = Audit(rule.scheduler, stops[0], len(last), pairs.reset_index(drop=True), _ranks(pairs))
    return _judged(told, last[last["epoch"] == stops[0]])


def _no_pairs() -> pd.DataFrame:
    return pd.DataFrame(columns=list(PAIR_COLUMNS))


def _pairs(complete: pd.DataFrame, seen: pd.DataFrame, at: int, rule: Rule) -> pd.DataFrame:
    """Early and final value of every complete trial, and why it was trained to its end."""
    early = seen[seen["epoch"] == at].set_index("number")["value"]
    own = complete[complete["number"].isin(early.index)]
    groups = groups_of(early, own["number"].tolist(), rule)
    return pd.DataFrame(
        {
            "number": own["number"].to_numpy(),
            "epoch": at,
            "early": early.reindex(own["number"]).to_numpy(),
            "final": own["value"].to_numpy(),
            "group": [groups[number] for number in own["number"]],
        },
        columns=list(PAIR_COLUMNS),
    )


def groups_of(early: "pd.Series[float]", complete: Sequence[int], rule: Rule) -> dict[int, str]:
    """Why each of the complete trials was trained to its end.

    Which were drawn by lot is stored nowhere, but follows: whoever is not among the best at the
    epoch of the promotion, nor trial 0.

    Parameters
    ----------
    early : Series
        Value at that epoch of every trial that came so far, by number.
    complete : sequence of int
    rule : Rule
    """
    ranked = sorted(early.index, key=lambda number: (-early[number], number))
    best = set(ranked[: rule.promote])

    def group(number: int) -> str:
        if rule.scheduler == "promote":
            return "defaults" if number == 0 else "best" if number in best else "by lot"
        return "spared" if number < SPARED.get(rule.scheduler, 0) else "others"

    return {number: group(number) for number in complete}


# -- correlations --------------------------------------------------------------------------


def _ranks(pairs: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for at, own in pairs.groupby("epoch", sort=True):
        names = [ALL, *sorted(own["group"].unique())] if own["group"].nunique() > 1 else [ALL]
        for name in names:
            some = own if name == ALL else own[own["group"] == name]
            rows.append((at, name, len(some), *_correlations(some)))
    return pd.DataFrame(rows, columns=list(RANK_COLUMNS))


def _correlations(pairs: pd.DataFrame) -> tuple[float, ...]:
    """Spearman's and Kendall's, each with its interval; NaN where there are too few trials."""
    if len(pairs) < FEWEST:
        return (math.nan,) * 6
    some = pairs if len(pairs) <= MOST_TRIALS else pairs.sample(MOST_TRIALS, random_state=_SEED)
    early, final = some["early"].to_numpy(np.float64), some["final"].to_numpy(np.float64)
    if np.ptp(early) == 0 or np.ptp(final) == 0:
        return (math.nan,) * 6
    count = len(some)
    draws = np.random.default_rng(_SEED).integers(count, size=(RESAMPLES, count))
    rho, tau = float(stats.spearmanr(early, final)[0]), float(stats.kendalltau(early, final)[0])
    if count < FEWEST_TOLD:
        return rho, math.nan, math.nan, tau, math.nan, math.nan
    spearman = _spearman(early[draws], final[draws])
    kendall = _kendall(early, final, draws)
    return rho, *_interval(spearman), tau, *_interval(kendall)


def _spearman(early: Floats, final: Floats) -> Floats:
    """Rank correlation of each row; NaN where all values of one are equal."""
    x, y = stats.rankdata(early, axis=1), stats.rankdata(final, axis=1)
    x, y = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    norm = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    return np.asarray((x * y).sum(axis=1) / np.where(norm > 0, norm, np.nan))


def _kendall(early: Floats, final: Floats, draws: NDArray[np.int64]) -> Floats:
    """Tau-b of each resample (rows of `draws`); NaN where all values of one are equal.

    From the signs of all differences, each as often as both trials were drawn. The sums are of
    small whole numbers, so that single precision holds them exactly.
    """
    first, second = (
        np.sign(values[:, None] - values[None, :]).astype(np.float32) for values in (early, final)
    )
    counts = [np.bincount(draw, minlength=len(early)) for draw in draws]
    weights = np.array(counts, dtype=np.float32)

    def totals(signs: NDArray[np.float32]) -> Floats:
        return np.asarray(((weights @ signs) * weights).sum(axis=1), dtype=np.float64)

    norm = np.sqrt(totals(first * first) * totals(second * second))
    return np.asarray(totals(first * second) / np.where(norm > 0, norm, np.nan))


def _interval(values: Floats) -> tuple[float, float]:
    """95 % percentiles; NaN where every resample agrees, which tells nothing of the doubt."""
    known = values[np.isfinite(values)]
    if not len(known) or np.ptp(known) < 1e-9:
        return math.nan, math.nan
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


# -- the verdict ---------------------------------------------------------------------------


def _judged(told: Audit, stopped: pd.DataFrame) -> Audit:
    shown = told.shown
    if shown.empty:
        return replace(told, sentence=_too_few(told, 0))
    finals = shown["final"].to_numpy(np.float64)
    chances = _chances(shown, stopped, float(finals.max()))
    told = replace(told, winner=int(shown["number"].to_numpy()[int(finals.argmax())]))
    if chances is not None:
        likeliest = int(stopped["number"].to_numpy()[int(np.argmax(chances))])
        told = replace(
            told,
            overtakes=float(1 - np.prod(1 - chances)),
            likeliest=likeliest,
            likeliest_p=float(chances.max()),
        )
    sentences = (_order(told), _overtaking(told, len(stopped)), _by_lot(told))
    return replace(told, sentence=" ".join(s for s in sentences if s), caveat=_caveat(told))


def _chances(shown: pd.DataFrame, stopped: pd.DataFrame, best: float) -> Floats | None:
    """Probability of each stopped trial that its final value would have been above the best.

    From the line through the trials that were trained to their end, and the t distribution of a
    further trial around it.
    """
    count = len(shown)
    x, y = shown["early"].to_numpy(np.float64), shown["final"].to_numpy(np.float64)
    if count < FEWEST_TOLD or np.ptp(x) == 0:
        return None
    line = stats.linregress(x, y)
    freedom = count - 2
    spread = math.sqrt(float(((y - line.intercept - line.slope * x) ** 2).sum()) / freedom)
    if spread == 0:
        return None
    at = stopped["value"].to_numpy(np.float64)
    reach = spread * np.sqrt(1 + 1 / count + (at - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum())
    return np.asarray(stats.t.sf((best - line.intercept - line.slope * at) / reach, freedom))


def _too_few(told: Audit, count: int, rho: float = math.nan) -> str:
    have = "none" if count == 0 else f"only {count}"
    among = "" if math.isnan(rho) else f" (rank correlation among them {signed(rho)})"
    return (
        f"Whether the order after epoch {told.epoch} says anything of the final one cannot be "
        f"told: it takes {FEWEST_TOLD} trials that were trained to their end, and there "
        f"{'is' if count < 2 else 'are'} {have}{among}."
    )


def signed(correlation: float) -> str:
    """A correlation with two decimals."""
    return f"{correlation:.2f}".replace("-", MINUS)


def _order(told: Audit) -> str:
    ranks = told.ranks
    (row,) = ranks[(ranks["epoch"] == told.epoch) & (ranks["group"] == ALL)].to_dict("records")
    count, rho = int(row["trials"]), float(row["spearman"])
    if count < FEWEST_TOLD:
        return _too_few(told, count, rho)
    if math.isnan(rho):
        return f"All values after epoch {told.epoch}, or all final ones, are equal: no order."
    low, high = float(row["spearman_low"]), float(row["spearman_high"])
    span = f"95 % {signed(low)} to {signed(high)}"
    if math.isnan(low):
        span = "no resample disagrees, so how much less it may be cannot be told"
    return (
        f"The order after epoch {told.epoch} {_says(rho, low)}: rank correlation {signed(rho)} "
        f"({span}; {plural(count, 'trial')})."
    )


def _says(rho: float, low: float) -> str:
    if low <= 0:
        return "may say nothing of the final one"
    if rho >= _MUCH and not low < _SOME:
        return "says much of the final one"
    return "says something of the final one" if rho >= _SOME else "says little of the final one"


def _overtaking(told: Audit, stopped: int) -> str:
    if math.isnan(told.overtakes):
        return ""
    trials = "the one trial" if stopped == 1 else f"one of the {stopped:,} trials"
    most = ""
    if stopped > 1:
        most = f" (the likeliest, trial {told.likeliest}: {probability(told.likeliest_p)})"
    return (
        f"By the line through these, the probability that {trials} stopped there would have "
        f"overtaken trial {told.winner} is {_about(told.overtakes)}{most}."
    )


def _about(p: float) -> str:
    text = probability(p)
    return text if text.startswith(("above", "below")) else f"about {text}"


def _by_lot(told: Audit) -> str:
    """What became of the trials that were promoted for no merit: the plainest check there is."""
    shown = told.shown
    lot, best = shown[shown["group"] == "by lot"], shown[shown["group"] == "best"]
    if lot.empty or best.empty:
        return ""
    over = int((lot["final"] > best["final"].min()).sum())
    count = plural(len(lot), "trial")
    if not over:
        return f"Of {count} promoted by lot none ended above any of the {len(best)} best."
    top = int((lot["final"] > best["final"].max()).sum())
    beyond = f", {top} above all of them" if top else ""
    last = f"{over} ended above the last of the {len(best)} best{beyond}"
    return f"Of {count} promoted by lot {last}."


def _caveat(told: Audit) -> str:
    if told.scheduler == "promote":
        return (
            "Those promoted for their early values are no random sample: that narrows the range, "
            "and their rank correlation is lower than over all trials; together with trials drawn "
            "by lot, from the rest of the range, it can also come out higher. The line is not "
            "bent by that choice, but it reaches beyond the values that it was drawn through."
        )
    few = SPARED.get(told.scheduler, 0)
    spared = f" Only the first {few} trials were spared whatever their values." if few else ""
    return (
        "The trials that came to their end were chosen by their values on the way: that narrows "
        "the range and makes the rank correlation lower than over all trials, and as later values "
        f"had a say too, the chance of the stopped trials is rather less than told.{spared}"
    )
