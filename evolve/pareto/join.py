"""From runs and weights to a front: gathered, measured where needed, and judged."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evolve.analysis.pareto import (
    ImageValues,
    choose,
    draw_points,
    join_front,
    measure_front,
    median_se,
    reference_of,
    seed_part,
)
from evolve.analysis.phrases import listed, plural
from evolve.errors import EvolveError
from evolve.final import judged_split
from evolve.pareto.from_runs import read_run_source
from evolve.pareto.from_weights import read_weights_files
from evolve.pareto.measure import Cost, Measurer, Tell, Wanted
from evolve.pareto.records import COLUMNS, Pareto
from evolve.pareto.subjects import Accuracy, Data, Source, Subject, check_alike
from evolve.pareto.words import choice_sentence, front_sentence
from evolve.protocol import Protocol, marks

SEED = 0
SIZE = ("image_size",)  # what points of one front may differ in


@dataclass(frozen=True)
class Asked:
    """What a front is asked of.

    Attributes
    ----------
    runs, weights : tuple of Path
    sizes : tuple of int
        Of the input, for all; empty takes the size that each was trained for.
    data : str or None
        Where the data are, as for `--data`.
    split : str or None
        None takes test where all runs have opened it, or there are only weights.
    split_seed : int or None
        Of the split of a single annotations file; None takes that of the run or training.
    metric : str or None
        None takes what the runs were judged by.
    device : str or None
    repeats : int
    max_latency_ms : float or None
    """

    runs: tuple[Path, ...] = ()
    weights: tuple[Path, ...] = ()
    sizes: tuple[int, ...] = ()
    data: str | None = None
    split: str | None = None
    split_seed: int | None = None
    metric: str | None = None
    device: str | None = None
    repeats: int = 200
    max_latency_ms: float | None = None


def make_front(asked: Asked, tell: Tell) -> Pareto:
    """Measure what is not measured yet, and find the front.

    Raises
    ------
    EvolveError, ModelError
        If there is nothing to look at, AP cannot be compared, or something cannot be read.
    """
    sources = [*map(read_run_source, asked.runs), *read_weights_files(asked.weights)]
    check_alike(sources)
    data, notes = _data(asked, sources)
    split, metric = _split(asked, sources, data), _metric(asked, sources)
    subjects = _subjects(sources, split, metric, asked.data)
    notes += [note for source in sources for note in source.notes]
    if not subjects:
        raise EvolveError(
            "nothing here has been trained to its end yet",
            ", ".join(str(source.where) for source in sources),
            "wait for a training to end, or go on with 'evolve resume'",
        )
    wanted = Wanted(data, split, metric, asked.device, asked.repeats)
    measurer = Measurer(wanted, tell)
    measurer.look_up(subjects)
    return join(measurer, subjects, asked, notes)


# -- what it is measured on --------------------------------------------------------------------


def _data(asked: Asked, sources: Sequence[Source]) -> tuple[Data, list[str]]:
    """The data for all, and notes on weights that were trained on others."""
    runs = [source for source in sources if source.is_run]
    known = next((one.data for one in [*runs, *sources] if one.data and one.data.argument), None)
    if asked.data is None and runs and known is not None:
        data = known
    else:
        data = _opened(asked, sources[0], known)
        if runs and data.digest != runs[0].digest:
            raise EvolveError(
                f"these are not the data of '{runs[0].name}', on which its AP was measured",
                data.argument,
                "leave --data away, or give --weights in place of the run to measure them here",
            )
    if asked.split_seed is not None:
        data = replace(data, seed=asked.split_seed)
    return data, [
        f"{source.name} was trained on other data, or another split: images of its training may "
        "be among the measured"
        for source in sources
        if source.digest != data.digest
    ]


def _opened(asked: Asked, first: Source, known: Data | None) -> Data:
    """The data as they are; those of the weights' own training where none are given."""
    from evolve.data_source import open_data

    seed = asked.split_seed if asked.split_seed is not None else known.seed if known else 0
    argument = asked.data or (known.argument if known else None)
    path, name, dataset = open_data(argument, seed)
    if dataset.classes != first.classes:
        from model.trained import listed

        where = "" if argument else ", the default ones"
        raise EvolveError(
            f"'{first.name}' knows {listed(first.classes)}, the data{where} have "
            f"{listed(dataset.classes)}",
            str(path),
            "give with --data some with the same classes in the same order",
        )
    return Data(argument or str(path), name, dataset.digest, dataset.classes, seed)


def _split(asked: Asked, sources: Sequence[Source], data: Data) -> str:
    """A run opens its test split for its comparison alone, and a front is no reason to."""
    if asked.split is not None:
        return asked.split
    runs = [source for source in sources if source.is_run]
    if runs:
        return "test" if all(run.judged_on == "test" for run in runs) else "val"
    from evolve.data_source import open_data

    return judged_split(open_data(data.argument, data.seed)[2])


def _metric(asked: Asked, sources: Sequence[Source]) -> str:
    found = {source.objective for source in sources if source.is_run}
    return asked.metric or (found.pop() if len(found) == 1 else "AP")


def _subjects(
    sources: Sequence[Source], split: str, metric: str, data: str | None
) -> list[Subject]:
    """All of them, each with a title of its own."""
    named = [
        replace(one, title=f"{source.name}: {one.title}")
        if len(sources) > 1 and source.is_run
        else one
        for source in sources
        for one in source.subjects(split, metric, data)
    ]
    titles = [one.title for one in named]
    return [
        one
        if titles.count(one.title) == 1
        else replace(one, title=f"{one.title} ({titles[: place + 1].count(one.title)})")
        for place, one in enumerate(named)
    ]


# -- the table ---------------------------------------------------------------------------------


def join(
    measurer: Measurer, subjects: Sequence[Subject], asked: Asked, notes: Sequence[str] = ()
) -> Pareto:
    """Measure every subject at every size, and judge the points."""
    wanted = measurer.wanted
    protocols = {one.title: one.protocol(wanted.data, wanted.split, wanted.metric)
                 for one in subjects}  # fmt: skip
    signs, differ = marks(protocols, SIZE)
    lines: list[dict[str, Any]] = []
    image_values: dict[str, Any] = {}
    images, gone = None, []
    for subject in subjects:
        for size in asked.sizes or (subject.size,):
            accuracy = measurer.accuracy(subject, size)
            if accuracy is None:
                gone.append(f"the weights of {subject.title} are gone, so it has no {size} px")
                continue
            line = _line(subject, size, measurer.cost(subject, size), accuracy, asked.repeats)
            protocol = protocols[subject.title]
            line |= {"mark": signs[subject.title], "protocol": protocol.hash_without(SIZE)}
            lines.append(line)
            images = accuracy.images or images
            if accuracy.resampled is not None:
                image_values[line["key"]] = accuracy.resampled
    if not lines:
        raise EvolveError("nothing here can be measured", "; ".join(gone), "keep the weights")
    about = {
        "title": _title(asked, wanted.data.name),
        "metric": wanted.metric,
        "split": wanted.split,
        "data": wanted.data.name,
        "images": images,
        "device": str(measurer.header["device"]),
        "timing": str(measurer.header["protocol"]),
        "accuracy": _usual(protocols, signs).to_dict(),
        "notes": (*notes, *gone, *differ, *_unrun(lines)),
    }
    frame = pd.DataFrame(lines, columns=list(COLUMNS))
    return judge_points(frame, image_values, about, asked.max_latency_ms)


def judge_points(
    frame: pd.DataFrame,
    image_values: ImageValues,
    about: Mapping[str, Any],
    max_latency_ms: float | None = None,
) -> Pareto:
    """The front of a table of points.

    Parameters
    ----------
    frame : DataFrame
        As `Pareto.points`, without what is said of the front.
    image_values : mapping of key -> array
        As for `draw_points`.
    about : mapping
        The fields of `Pareto` that are no result.
    max_latency_ms : float, optional
        Longest latency of a choice.
    """
    drawn = draw_points(frame, np.random.default_rng(SEED), image_values)
    found = Pareto(
        points=join_front(frame, drawn),
        volume=measure_front(frame, drawn, reference_of(frame)),
        choice=None if max_latency_ms is None else choose(frame, max_latency_ms, drawn),
        **about,
    )
    said = front_sentence(found) if found.choice is None else choice_sentence(found)
    return replace(found, sentence=said)


def _usual(protocols: Mapping[str, Protocol], signs: Mapping[str, str]) -> Protocol:
    return next(one for title, one in protocols.items() if not signs[title])


def _title(asked: Asked, data: str) -> str:
    """The runs by name, and how many files."""
    parts = [path.resolve().name for path in asked.runs]
    if asked.weights:
        parts.append(plural(len(asked.weights), "weights file"))
    return f"{listed(parts)} on {data}"


def _line(
    subject: Subject, size: int, cost: Cost, accuracy: Accuracy, repeats: int
) -> dict[str, Any]:
    delta = accuracy.delta
    seed_se, seed_df = seed_part(delta)
    median, p95 = (_or_nan(cost[name]) for name in ("latency_ms", "latency_p95_ms"))
    return {
        "key": f"{subject.title}@{size}",
        "title": subject.title,
        "role": subject.role,
        "size": size,
        "network": cost["network"],
        "parameters": cost["parameters"],
        "bflops": cost["bflops"],
        "latency_ms": median,
        "latency_p95_ms": p95,
        "latency_se_ms": median_se(median, p95, repeats),
        "fps": 1000 / median,
        "ap": delta.mean,
        "ap_low": delta.low,
        "ap_high": delta.high,
        "ap_se": delta.se,
        "seed_se": seed_se,
        "seed_df": seed_df,
        "seeds": delta.pairs,
        "source": delta.source,
        "is_stored": accuracy.is_stored,
        "weights": str(subject.weights[0]) if subject.weights else "",
        "reason": cost.get("reason", ""),
    }


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _unrun(lines: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for line in lines:
        if line["reason"]:
            yield f"{line['title']} cannot be run at {line['size']} px here: {line['reason']}"
