"""Sections of a search: lineage, all parameters at once, interactions, and the time of workers."""

import pandas as pd

from evolve.analysis.ancestry import Ancestry, ancestry
from evolve.analysis.interactions import RESAMPLES, Interactions
from evolve.analysis.phrases import drawn_of
from evolve.findings import Findings
from evolve.store.records import RunRecord
from reports.cost_figures import draw_spent, idle_is_known, spent_table
from reports.figures import MOST_DRAWN
from reports.interaction_figures import (
    LEVELS,
    MOST_IN_MAP,
    MOST_PAIRS,
    draw_map,
    draw_surfaces,
    map_data,
    pair_table,
)
from reports.lineage_figures import ancestry_table, draw_lineage
from reports.parallel_figures import draw_parallel, parallel_caption, parallel_data
from reports.sections import Drawing, Section, TablePart
from reports.summary import Summary
from reports.text import clean, plural

_SHAPES = (True, False)


def lineage_section(run: RunRecord, summary: Summary) -> Section | None:
    """From which trials the best one was bred; None without a best trial."""
    if summary.best is None:
        return None
    title = f"Lineage of the {summary.role}"
    found = ancestry(run.trials, summary.best.number)
    own = found.frame.iloc[0]
    wide, narrow = (draw_lineage(run, summary, found, wide=wide) for wide in _SHAPES)
    if wide is None:
        origin = clean(own["origin"], longest=30) or "an unknown origin"
        missing = f"Trial {summary.best.number} has no parents: it came from {origin}."
        return Section("lineage", title, missing=missing)
    caption = lineage_caption(found, summary, len(run.trials))
    table = ancestry_table(found, summary.objective)
    return Section(
        "lineage",
        title,
        drawings=(Drawing("lineage", title, caption, wide, narrow),),
        tables=(TablePart("ancestry", "The trial, and those it was bred from.", table),),
    )


def lineage_caption(found: Ancestry, summary: Summary, trials: int) -> str:
    """What the lines are, and what is left out."""
    ancestors = len(found.frame) - 1
    more = f"; {found.more:,} farther ones are left out" if found.more else ""
    others = "all other trials"
    if trials > MOST_DRAWN:
        others = f"others, {MOST_DRAWN:,} of {trials:,} trials picked at random"
    generations = int(found.frame["generation"].max())
    return (
        f"{summary.objective} on val by trial number. Lines lead from parents to offspring, from "
        f"{plural(ancestors, 'ancestor')} over {plural(generations, 'generation')} to trial "
        f"{found.line[0]}{more}; their look is the operator that bred the younger one. The strong "
        "line goes back to the parent with the highest value each time. Small grey dots are "
        f"{others}."
    )


def parallel_section(run: RunRecord, summary: Summary, found: Findings | None) -> Section | None:
    """All searched parameters at once; None for fewer than two complete trials."""
    shares = None if found is None else found.importances.frame
    lines = parallel_data(run, summary, shares)
    if lines is None:
        return None
    wide, narrow = (draw_parallel(run, summary, shares, wide=wide) for wide in _SHAPES)
    assert wide is not None
    title = "All parameters at once"
    caption = parallel_caption(lines, len(run.parameters), summary.objective)
    drawing = Drawing("parallel", title, caption, wide, narrow)
    return Section("parallel", title, drawings=(drawing,))


def interaction_section(
    run: RunRecord, summary: Summary, found: Findings | None
) -> Section | None:
    """Pairs of parameters that matter together, or that none can be told."""
    pairs = None if found is None else found.interactions
    if pairs is None:
        return None
    title = "Interactions of parameters"
    if pairs.reason:
        missing = f"No interaction of parameters can be told: {clean(pairs.reason)}."
        return Section("interactions", title, missing=missing)
    table = TablePart("interactions", pair_caption(pairs), pair_table(pairs))
    maps = [draw_map(pairs, wide=wide) for wide in _SHAPES]
    if maps[0] is None:
        return Section("interactions", title, tables=(table,), missing=nothing_above(pairs))
    drawings = [Drawing("interactions", title, map_caption(pairs), maps[0], maps[1])]
    wide, narrow = (draw_surfaces(run, summary, pairs, wide=wide) for wide in _SHAPES)
    if wide is not None:
        caption = surface_caption(pairs, summary.objective)
        drawings.append(Drawing("surfaces", "The strongest pairs", caption, wide, narrow))
    return Section("interactions", title, drawings=tuple(drawings), tables=(table,))


def nothing_above(pairs: Interactions) -> str:
    """That no pair is above chance, and what that does not say."""
    top, chance = (100 * float(pairs.frame[name].iloc[0]) for name in ("share", "chance"))
    return (
        f"No pair of parameters is above chance in {drawn_of(pairs.trials, pairs.of)}: the "
        f"largest share is {top:.1f} % of the variance, and chance gives up to {chance:.1f} % "
        "where nothing interacts. That does not say that none does: weak ones take more trials "
        "to see."
    )


def map_caption(pairs: Interactions) -> str:
    """What the shares are."""
    count = len(pairs.main)
    cut = (
        f" Of {count} parameters {MOST_IN_MAP} are shown."
        if count > len(map_data(pairs)[0])
        else ""
    )
    return (
        "Share of the variance of a random forest that two parameters explain together and "
        f"neither alone (fANOVA), from {drawn_of(pairs.trials, pairs.of)}. Framed are pairs above "
        f"{100 * float(pairs.frame['chance'].iloc[0]):.1f} %, which no pair reached in any of "
        f"{RESAMPLES} sets of trials made without interaction: an additive model's values with "
        f"its errors shuffled.{cut}"
    )


def surface_caption(pairs: Interactions, objective: str) -> str:
    """What the surfaces are."""
    count = len(pairs.surfaces)
    shown = "The pair" if count == 1 else f"The {count} strongest pairs"
    return (
        f"{shown} above chance: {objective} that the forest expects, mean over all other "
        f"parameters, in {LEVELS + 1} steps of equal area, low (light) to high (dark). It says "
        "nothing where no trial is near."
    )


def pair_caption(pairs: Interactions) -> str:
    """What the table of pairs has."""
    count = len(pairs.frame)
    cut = f" The first {MOST_PAIRS} of {count:,} pairs." if count > MOST_PAIRS else ""
    return (
        "Shares in percent, with 95 % intervals of a bootstrap over trials and the level of "
        f"chance.{cut}"
    )


def spent_section(found: Findings | None) -> Section | None:
    """What workers did; None where nothing was written down."""
    cost = None if found is None else found.cost
    if cost is None or cost.spent is None:
        return None
    wide, narrow = (draw_spent(cost.spent, wide=wide) for wide in _SHAPES)
    if wide is None:
        return None
    title = "What workers did"
    drawing = Drawing("spent", title, spent_caption(cost.spent), wide, narrow)
    table = TablePart("spent", "Time of workers by what it was spent on.", spent_table(cost.spent))
    return Section("spent", title, drawings=(drawing,), tables=(table,))


def spent_caption(spent: pd.DataFrame) -> str:
    """What the pieces of a bar are."""
    kinds = set(spent.loc[spent["seconds"] > 0, "kind"])
    start = (
        " Starting and saving is the rest of what trainings held them for: processes, data and "
        "networks made ready, checkpoints written."
    )
    lost = " Lost is work after the last whole epoch of what failed or was killed."
    idle = "" if idle_is_known(spent) else " Idle time is unknown."
    return (
        f"Time of all workers.{start if 'start' in kinds else ''}{lost if 'lost' in kinds else ''}"
        f"{idle}"
    )
