"""What a made-up run found: literal numbers, no training, no statistics."""

import math
from dataclasses import replace

import pandas as pd

from evolve.analysis.deltas import Delta
from evolve.analysis.importance import COLUMNS, Importances
from evolve.analysis.path import Step
from evolve.analysis.verdict import Luck, RowValues, Verdict
from evolve.findings import AblationPath, Final, Findings, RowFinding

GAIN = Delta(0.031, 0.004, 3, "seeds and images", 0.004, 8.0, 0.021, 0.041, 0.999)
OTHER = Delta(-0.002, 0.010, 3, "seeds", 0.006, 2.0, -0.027, 0.023, 0.38)
SENTENCE = "Trial 5 beats the defaults by 3.1 AP points on test (95 % interval 2.1 to 4.1)."
LUCKY = "Of the 9.4 points seen in the search, 3.5 were confirmed on val; 5.9 were luck."
WORDS = "Most of the gain came from optimizer.lr (0.01 -> 0.02): 2.9 of 3.1 points."


def make_row(key: str, values: tuple[float, ...], delta: Delta | None = None) -> RowFinding:
    """A row whose values on val are 0.1 above those on test."""
    series = pd.Series(values, dtype=float)
    mean, sd = float(series.mean()), float(series.std())
    return RowFinding(
        key=key,
        title="the defaults" if key == "default" else key.replace("-", " "),
        trial=None if key == "default" else int(key.rpartition("-")[2]),
        search_value=0.40 if key == "default" else 0.494,
        values=values,
        judged=RowValues(int(series.count()), mean, sd),
        val=RowValues(int(series.count()), mean + 0.1, sd),
        metrics={"AP": mean, "AP50": mean + 0.2, "APl": math.nan},
        delta=delta,
    )


def make_final() -> Final:
    """Two candidates and the defaults on three seeds; trial 5 wins."""
    rows = (
        make_row("default", (0.30, 0.31, 0.32)),
        make_row("trial-5", (0.332, 0.340, 0.351), GAIN),
        make_row("trial-3", (0.30, 0.30, math.nan), OTHER),
    )
    values = {row.key: row.judged for row in rows}
    verdict = Verdict("trial-5", "default", "gain", SENTENCE, values, GAIN, 3, 96)
    return Final(
        judged_on="test",
        seeds=3,
        rows=rows,
        winner="trial-5",
        verdict=verdict,
        luck=Luck(0.094, replace(GAIN, mean=0.035), 0.059, LUCKY),
        sentence=SENTENCE,
        unfinished="",
        no_images="",
        folders={"default": "final/default/0", "trial-5": "final/trial-5/0"},
    )


def make_found() -> Findings:
    """All there is: comparison, importances by both methods, a path of two steps."""
    return Findings("AP", make_final(), make_importances(), make_path(), "", WORDS)


def make_importances() -> Importances:
    """Of two parameters; fANOVA has no line for the second."""
    rows = [
        ("optimizer.lr", "PED-ANOVA", 0.7, 0.5, 0.8, 0.2, 1),
        ("augment.mosaic", "PED-ANOVA", 0.3, 0.1, 0.5, 0.4, 2),
        ("optimizer.lr", "fANOVA", 1.0, 0.9, 1.0, 0.3, 1),
    ]
    return Importances(pd.DataFrame(rows, columns=list(COLUMNS)), 40)


def make_path() -> AblationPath:
    """A gain, and a loss of two parameters at once, estimated alone."""
    lr = Step(
        ("optimizer.lr",), {"optimizer.lr": 0.01}, {"optimizer.lr": 0.02}, {}, 0.35, 0.03, 0.01
    )
    pair = Step(
        ("sat.kind", "sat.epsilon"), {"sat.kind": "none"},
        {"sat.kind": "fgsm", "sat.epsilon": 0.02}, {}, 0.345, -0.005, math.nan,
    )  # fmt: skip
    return AblationPath((lr, pair), 0.32, 5, 40)


def make_trained() -> AblationPath:
    """The same path with a measured gain, and a step that was not measured."""
    none = Delta(math.nan, math.nan, 0, "none")
    return replace(
        make_path(), trained=(GAIN, none), split="test", training="5 of 9 trainings have ended."
    )
