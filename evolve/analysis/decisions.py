"""The word for each row of a table: helps, hurts, no effect, or undecided.

A row helps or hurts if p, after Holm over the rows, is at most alpha and the 95 % interval is on
one side of 0. It has no effect if p of "at least the region", after Holm too, is at most alpha and
the interval is inside the region; that word goes first, for what is surely too small to matter has
no effect whatever its sign. The two questions are two families: in a table without any effect one
row or more helps or hurts with chance alpha at most; in one whose effects all reach the region one
row or more has "no effect" with chance alpha at most.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from evolve.analysis.deltas import Delta
from evolve.analysis.outlook import Aim, more_images, more_seeds
from evolve.analysis.significance import TestName, holm, judge_sign, same_p

Word = Literal["helps", "hurts", "no effect", "undecided"]

REGION = 0.002  # 0.2 AP points
ALPHA = 0.05


@dataclass(frozen=True)
class Decision:
    """What is said of one delta.

    Attributes
    ----------
    word : str
    p, test
        Two-sided p of no effect, and the test that it is of.
    p_holm, p_same : float
        p of no effect, and p of at least the region, both after Holm and error spending: to be
        compared with alpha.
    more_seeds : int or None
        Of an undecided row: seeds that a verdict would take if all stays as it is; None if no
        number would do, and for other rows.
    more_images : float
        How many times the images an undecided row would take then; NaN otherwise.
    """

    word: Word
    p: float
    test: TestName
    p_holm: float
    p_same: float
    more_seeds: int | None = None
    more_images: float = math.nan


@dataclass(frozen=True)
class Rule:
    """How deltas are judged.

    Attributes
    ----------
    alpha : float
        Chance of one false word or more, in each of the two families.
    region : float
        Differences in [0, 1] that are as good as none, to both sides.
    share : float
        Part of alpha that may be spent now; 1 unless rows are looked at several times.
    effects, sames : int or None
        Size of each family, if it is larger than the number of deltas.
    """

    alpha: float = ALPHA
    region: float = REGION
    share: float = 1.0
    effects: int | None = None
    sames: int | None = None


def decide(deltas: Mapping[str, Delta], rule: Rule | None = None) -> dict[str, Decision]:
    """Find the word for each delta, all being one family."""
    rule = rule or Rule()
    effects, sames = rule.effects or len(deltas), rule.sames or len(deltas)
    level = rule.alpha * rule.share / max(1, effects)
    tests = {key: judge_sign(delta, level) for key, delta in deltas.items()}
    p_holm = holm([one.p for one in tests.values()], effects)
    p_same = holm([same_p(one, rule.region) for one in deltas.values()], sames)
    both = np.minimum(np.stack((p_holm, p_same), axis=1) / rule.share, 1.0)  # NaN stays
    found = dict(zip(deltas, both.tolist(), strict=True))
    words = {key: _word(deltas[key], p, same, rule) for key, (p, same) in found.items()}
    aim = _aim(words, rule, effects, sames)
    return {
        key: with_outlook(
            Decision(words[key], tests[key].p, tests[key].test, p, same), deltas[key], aim
        )
        for key, (p, same) in found.items()
    }


def _word(delta: Delta, p_holm: float, p_same: float, rule: Rule) -> Word:
    if delta.pairs < 2:  # one seed tells nothing of another
        return "undecided"
    if p_same <= rule.alpha and -rule.region < delta.low and delta.high < rule.region:
        return "no effect"
    if p_holm <= rule.alpha and not delta.low <= 0 <= delta.high:
        return "helps" if delta.mean > 0 else "hurts"
    return "undecided"


def _aim(words: Mapping[str, Word], rule: Rule, effects: int, sames: int) -> Aim:
    """What the next row has to reach: Holm lets go of the rows that have their word."""
    said = list(words.values())
    left = max(1, effects - said.count("helps") - said.count("hurts"))
    unlike = max(1, sames - said.count("no effect"))
    spent = rule.alpha * rule.share
    return Aim(spent / left, spent / unlike, rule.region)


def with_outlook(decision: Decision, delta: Delta, aim: Aim) -> Decision:
    """The same decision; an undecided one with what it would take to reach `aim`."""
    if decision.word != "undecided":
        return decision
    seeds = more_seeds(delta, aim)
    images = more_images(delta, aim) if seeds is None else math.nan
    return replace(decision, more_seeds=seeds, more_images=images)
