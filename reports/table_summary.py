"""The first screen of a table's report: the verdict, the number that matters, what to run next."""

import math
import shlex
from collections.abc import Iterator, Sequence
from typing import Any, cast

from evolve.analysis.phrases import digits_for, listed, plural
from evolve.analysis.phrases import points as unsigned
from evolve.analysis.row_sentences import MOST_SEEDS
from evolve.findings.table import TableFindings
from reports.found import Tile
from reports.method import typed_data, typed_path
from reports.table_trainings import Places
from reports.text import PLUS_MINUS, clean, percent, points, upper_first

MOST_NAMED = 4
LONGEST_TITLE = 60

Line = dict[str, Any]
Step = tuple[str, str]


def lines_of(found: TableFindings) -> list[Line]:
    """What was judged, a line a row."""
    return cast("list[Line]", found.judged.to_dict("records"))


def others_of(found: TableFindings) -> list[Line]:
    """Lines of the rows that are no baselines."""
    return [line for line in lines_of(found) if line["word"] != "baseline"]


def has_complete(found: TableFindings) -> bool:
    """Whether any training has ended well."""
    return bool((found.judged["n"] > 0).any())


# -- the verdict ---------------------------------------------------------------------------


def verdict(found: TableFindings) -> str:
    """What surely helps, what surely hurts, and what is not known, in one sentence."""
    others = others_of(found)
    if not has_complete(found):
        return _nothing(found)
    if not others:
        return "The table has no row beside its baseline, so there is nothing to compare."
    return f"{upper_first('; '.join(_said(found, others)))}."


def _nothing(found: TableFindings) -> str:
    failed = int((found.trainings["state"] == "FAIL").sum())
    if failed:
        return (
            f"No training of the table is complete, so nothing can be said of its rows: "
            f"{failed:,} of {len(found.trainings):,} failed."
        )
    return "No training of the table is complete yet, so nothing can be said of its rows."


def _said(found: TableFindings, others: Sequence[Line]) -> Iterator[str]:
    unit = f"{clean(found.objective)} points on {clean(found.judged_on)}"
    groups = {word: [one for one in others if one["word"] == word] for word in _WORDS}
    if not groups["helps"] and not groups["hurts"]:
        yield "no row is sure to help or to hurt"
    for word, sign in (("helps", 1), ("hurts", -1)):
        rows = sorted(groups[word], key=lambda one: -sign * one["delta"])
        if rows:
            yield f"{_claim(rows, word)} by {_sizes([sign * r['delta'] for r in rows])} {unit}"
            unit = "points"
    if rows := groups["no effect"]:
        yield f"{_claim(rows, 'has no effect', 'have no effect')}"
    if rows := groups["undecided"]:
        yield f"nothing is decided about {_named(rows)}"
    if rows := groups["failed"]:
        yield f"{_named(rows)} failed"


_WORDS = ("helps", "hurts", "no effect", "undecided", "failed")
_MANY = {"helps": "help", "hurts": "hurt"}


def _claim(rows: Sequence[Line], one: str, many: str = "") -> str:
    return f"{_named(rows)} {one if len(rows) == 1 else many or _MANY[one]}"


def _named(rows: Sequence[Line]) -> str:
    names = [title_of(row) for row in rows[:MOST_NAMED]]
    more = len(rows) - len(names)
    return listed([*names, *([plural(more, "more row")] if more else [])])


def _sizes(deltas: Sequence[float]) -> str:
    """Sizes in the order of the rows; of many the least and the most."""
    digits = digits_for(*deltas)
    if len(deltas) > MOST_NAMED:
        return f"{unsigned(min(deltas), digits)} to {unsigned(max(deltas), digits)}"
    return listed([unsigned(one, digits) for one in deltas])


def title_of(line: Line) -> str:
    """Title of a row as it stands in sentences."""
    return clean(line["title"], longest=LONGEST_TITLE)


def caveat(found: TableFindings) -> str:
    """What the best row's number leaves out."""
    rows = [one for one in others_of(found) if one["pairs"]]
    if len(rows) < 2:
        return ""
    return (
        f"The best of {len(rows)} rows is picked by the same trainings that measured it, so its "
        "difference is likely to be a little too large. Intervals are of one row each; verdicts "
        "allow for the number of rows."
    )


# -- the number that matters ---------------------------------------------------------------


def best_of(found: TableFindings) -> Line | None:
    """The row with the highest mean beside the baselines; None where none can be compared."""
    rows = [one for one in others_of(found) if one["pairs"] and one["word"] != "failed"]
    return max(rows, key=lambda one: one["mean"], default=None)


def tiles(found: TableFindings) -> tuple[Tile, ...]:
    """The best row, its baseline, and the difference of the two."""
    best = best_of(found)
    if best is None:
        return ()
    key = found.table.row(best["row"]).baseline
    base = next(line for line in lines_of(found) if line["row"] == key)
    objective = clean(found.objective)
    leads = best["delta"] > 0
    return (
        _mean_tile("best" if leads else "default", "Best row" if leads else "Best other row",
                   best, found),
        _mean_tile("default" if leads else "best", "Baseline", base, found),
        Tile("difference", "Difference", "", points(best["delta"]) + _reach(best), "points",
             f"{objective} on {clean(found.judged_on)}; {_interval(best)}; {best['word']}"),
    )  # fmt: skip


def _mean_tile(kind: str, title: str, line: Line, found: TableFindings) -> Tile:
    spread = "" if math.isnan(line["sd"]) else f", sd {percent(line['sd'])}"
    return Tile(
        kind, title, title_of(line), percent(line["mean"]), clean(found.objective),
        f"{clean(found.judged_on)}, mean of {plural(int(line['n']), 'seed')}{spread}",
    )  # fmt: skip


def _reach(line: Line) -> str:
    if math.isnan(line["low"]):
        return ""
    return f" {PLUS_MINUS} {unsigned((line['high'] - line['low']) / 2)}"


def _interval(line: Line) -> str:
    if math.isnan(line["low"]):
        return "no interval from one seed"
    return f"95 % from {points(line['low'])} to {points(line['high'])}"


# -- what to run next ----------------------------------------------------------------------


def next_steps(found: TableFindings) -> tuple[Step, ...]:
    """Pairs of purpose and shell command, the most urgent first."""
    steps = [*_finish(found), *_more_seeds(found), *_train_best(found)]
    return tuple(steps)


def _resume(found: TableFindings, *more: str) -> str:
    return shlex.join(["evolve", "resume", typed_path(found.folder), *more])


def _finish(found: TableFindings) -> Iterator[Step]:
    if not found.unfinished:
        return
    if found.run.is_over:
        yield "Train what its budget had no room for", _resume(found, "--budget", "TIME")
    else:
        yield "Finish the trainings that are left", _resume(found)


def _more_seeds(found: TableFindings) -> Iterator[Step]:
    """Seeds for rows that are undecided; a table that looks at its seeds adds them by itself."""
    if found.run.seeds is None or (found.unfinished and not found.run.is_over):
        return
    wanting = [
        (line, int(line["more_seeds"]))
        for line in others_of(found)
        if line["word"] == "undecided" and line["pairs"] and line["more_seeds"] <= MOST_SEEDS
    ]
    if not wanting:
        return
    wanting.sort(key=lambda one: one[1])
    nearest, later = wanting[:MOST_NAMED], wanting[MOST_NAMED:]
    said = listed([f"{title_of(line)} (about {more} more)" for line, more in nearest])
    rest = f"; {_later([more for _, more in later])}" if later else ""
    yield (
        f"Decide about {said}, if all stays as it is{rest}",
        _resume(found, "--seeds", str(found.run.seeds + nearest[-1][1])),
    )


def _later(seeds: Sequence[int]) -> str:
    """What rows take that are further from their verdict."""
    verb = "takes" if len(seeds) == 1 else "take"
    span = str(seeds[0]) if seeds[0] == seeds[-1] else f"{seeds[0]} to {seeds[-1]}"
    return f"{plural(len(seeds), 'more row')} {verb} about {span}"


def _train_best(found: TableFindings) -> Iterator[Step]:
    best = best_of(found)
    if best is None or best["word"] != "helps":
        return
    if found.manifest.get("trainer", "detector") != "detector":
        return
    own = found.trainings[
        (found.trainings["row"] == best["row"]) & (found.trainings["state"] == "COMPLETE")
    ]
    places, one = Places(found, found.folder), own.iloc[0].to_dict()
    config, weights = places.typed(one, "config.yaml"), places.typed(one, "last.pt")
    data, title = typed_data(found.manifest), title_of(best)
    if config:
        command = ["evolve", "train", "--config", config, "--data", data]
        yield f"Train with the configuration of {title}", shlex.join(command)
    elif on := found.table.row(best["row"]).on:
        command = ["evolve", "train", "--ingredients", clean(",".join(on)), "--data", data]
        yield f"Train with the ingredients of {title}", shlex.join(command)
    if weights:
        command = ["evolve", "eval", "--weights", weights, "--data", data]
        command += ["--split", clean(found.judged_on)]
        yield f"Measure a training of {title} again", shlex.join(command)
