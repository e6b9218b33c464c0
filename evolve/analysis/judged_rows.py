"""The rows of an ablation table, each with its mean, its delta to the baseline, and a verdict.

A row with failed trainings is shown with their number and reason. Its mean is that of the
complete ones, and `n` beside `planned` says so.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from evolve.analysis.contrasts import ImageValues, is_complete, row_deltas
from evolve.analysis.decisions import ALPHA, REGION, Decision, Rule, decide
from evolve.analysis.deltas import Delta
from evolve.analysis.row_sentences import Told, failed_sentence, row_sentence

Baseline = str | Mapping[str, str]

METRICS = ("AP50", "AP75")
COLUMNS = (
    *("row", "title", "n", "planned", "failed", "reason", "mean", "sd"),
    *("pairs", "delta", "low", "high", "se", "df", "lent", "source"),
    *("p", "test", "p_holm", "p_same", "p_better"),
    *("word", "more_seeds", "more_images", "sentence"),
)


def judge_table(
    trainings: pd.DataFrame,
    rows: Sequence[str],
    baseline: Baseline,
    *,
    alpha: float = ALPHA,
    region: float = REGION,
    column: str = "value_test",
    metric: str = "AP",
    split: str = "test",
    also: Sequence[str] = METRICS,
    image_values: ImageValues | None = None,
    images: int | None = None,
) -> pd.DataFrame:
    """Judge every row against its baseline, with all its seeds at once.

    Parameters
    ----------
    trainings : DataFrame
        One line a row and seed, also of those that failed or have not begun: row, seed_index,
        state, `column`, and where there are any title, reason and metrics (see
        `evolve.store.comparison`).
    rows : sequence of str
        Keys, in the order of the table; the baseline may be among them. All others are one
        family, those that failed too.
    baseline : str, or mapping of row -> str
        The row that deltas are taken to, of each row by itself if it is a mapping. A row that is
        its own, or is missing there, is a baseline.
    alpha : float
        Chance of one false word or more; see `decisions`.
    region : float
        Differences in [0, 1] that are as good as none.
    column, metric, split : str
        Where the values are, and what they are called.
    also : sequence of str
        More metrics whose means are given.
    image_values, images
        As for `contrasts.contrast`.

    Returns
    -------
    DataFrame, one line a row, in their order
        row, title; n (complete), planned, failed (int), reason (text); mean, sd (in [0, 1], of
        the complete ones); pairs, delta, low, high (95 %), se, df, lent (degrees of freedom that
        the other rows lend to the variance between seeds), source; p, test, p_holm (for an
        effect), p_same (for none beyond the region, after Holm), p_better; word (baseline,
        failed, helps, hurts, no effect or undecided), more_seeds (NaN if none would do),
        more_images (times), sentence; and a column for each of `also`.
    """
    references = references_of(rows, baseline)
    deltas = row_deltas(trainings, references, column, image_values=image_values, images=images)
    decisions = decide(deltas, Rule(alpha, region))
    lines = Lines(trainings, references, region, column, metric, split, also, images)
    return lines.frame(rows, deltas, decisions)


def references_of(rows: Sequence[str], baseline: Baseline) -> dict[str, str]:
    """The baseline of each row that is none itself, as `judge_table` takes them."""
    if isinstance(baseline, str):
        return {row: baseline for row in rows if row != baseline}
    return {row: base for row in rows if (base := baseline.get(row, row)) != row}


@dataclass(frozen=True)
class Lines:
    """Turns deltas and decisions into the lines of a table.

    Attributes
    ----------
    trainings, region, column, metric, split, also, images
        As for `judge_table`.
    references : mapping of row -> baseline
        Of all rows that are judged: p is corrected for their number.
    """

    trainings: pd.DataFrame
    references: Mapping[str, str]
    region: float
    column: str
    metric: str
    split: str
    also: Sequence[str]
    images: int | None

    def frame(
        self,
        rows: Sequence[str],
        deltas: Mapping[str, Delta],
        decisions: Mapping[str, Decision],
    ) -> pd.DataFrame:
        """The table; rows without a delta are the baseline."""
        lines = [self._line(row, deltas.get(row), decisions.get(row)) for row in rows]
        return pd.DataFrame(lines, columns=[*COLUMNS, *self.also])

    def _line(self, row: str, delta: Delta | None, decision: Decision | None) -> dict[str, Any]:
        own = self.trainings[self.trainings["row"] == row]
        head = self._head(row, own)
        if delta is None or decision is None:
            return head | {"pairs": head["n"], "word": "baseline", "sentence": ""}
        told = self._told(head, self.references[row])
        word, sentence = decision.word, row_sentence(decision, delta, told)
        open_ones = head["planned"] - head["n"] - head["failed"]
        is_failed = head["failed"] and head["n"] < 2 and not open_ones
        return head | {
            "pairs": delta.pairs,
            "delta": delta.mean,
            "low": delta.low,
            "high": delta.high,
            "se": delta.se,
            "df": delta.df,
            "lent": math.nan if delta.spread is None else delta.spread.lent,
            "source": delta.source,
            "p": decision.p,
            "test": decision.test,
            "p_holm": decision.p_holm,
            "p_same": decision.p_same,
            "p_better": delta.p_better,
            "word": "failed" if is_failed else word,
            "more_seeds": math.nan if decision.more_seeds is None else decision.more_seeds,
            "more_images": decision.more_images,
            "sentence": failed_sentence(told) if is_failed else sentence,
        }

    def _head(self, row: str, own: pd.DataFrame) -> dict[str, Any]:
        done = own[is_complete(own, self.column)]
        failed = own[own["state"] == "FAIL"]
        ended_without = own[(own["state"] == "COMPLETE") & own[self.column].isna()]
        return {
            "row": row,
            "title": self._title(row),
            "n": len(done),
            "planned": len(own),
            "failed": len(failed) + len(ended_without),
            "reason": _reasons(failed, len(ended_without)),
            "mean": float(done[self.column].mean()),
            "sd": float(done[self.column].std()),
            **{name: _mean_of(done, self._key(name)) for name in self.also},
        }

    def _key(self, metric: str) -> str:
        """As a training's metrics have it: those on val bear no name of a split."""
        return metric if self.split == "val" else f"{self.split}/{metric}"

    def _title(self, row: str) -> str:
        own = self.trainings[self.trainings["row"] == row]
        return str(own["title"].iloc[0]) if "title" in own and len(own) else row

    def _told(self, head: Mapping[str, Any], baseline: str) -> Told:
        return Told(
            title=head["title"],
            baseline=self._title(baseline),
            unit=f"{self.metric} points on {self.split}",
            planned=head["planned"],
            failed=head["failed"],
            reason=head["reason"],
            images=self.images,
            rows=len(self.references),
            region=self.region,
            is_one_of_many=len(set(self.references.values())) > 1,
        )


def _reasons(failed: pd.DataFrame, unmeasured: int) -> str:
    """Why trainings failed, each reason once with how often."""
    each = failed["reason"].tolist() if "reason" in failed else [""] * len(failed)
    counts = Counter(str(one).strip() or "no reason stored" for one in each)
    if unmeasured:
        counts["it could not be measured"] += unmeasured
    return "; ".join(f"{n} \u00d7 {why}" if n > 1 else why for why, n in counts.items())


def _mean_of(done: pd.DataFrame, key: str) -> float:
    if "metrics" not in done:
        return math.nan
    return float(pd.Series([m.get(key, math.nan) for m in done["metrics"]], dtype=float).mean())
