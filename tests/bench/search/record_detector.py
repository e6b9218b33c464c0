"""Record a detector study: many short trainings of a tiny network, one JSON line each.

Run: ``python -m tests.bench.search.record_detector STUDY FILE --trainings 170 --data DIR``. It
may be stopped at any time and goes on behind the last line of FILE; what comes next depends on
the lines before alone. Of ten trainings five follow a scrambled Sobol sequence, three are near
the best so far (where a search will spend its trials), and two repeat a configuration with other
seeds. Every training has a seed of its own.

With ``--promising`` all further ones are where the stored fit (`fit_recordings`) promises most: a
search will go there, so it must be known whether the promise is kept.
"""

import argparse
import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from optuna.distributions import CategoricalDistribution
from scipy.stats import qmc

from model.config import TrainConfig
from model.data.cache import Pictures
from model.data.coco import Dataset, load_dataset
from model.data.digits import digits_folder
from model.errors import Diverged
from model.feeding import new_cache
from model.train import Training
from tests.bench.search.recorded import Array, recorded_problems
from tests.bench.search.recorded_studies import EARLY_EPOCHS, METRIC, STUDIES, Study

log = logging.getLogger(__name__)

SEED = 20_150_125  # of the design
TURNS = ("sobol",) * 5 + ("near",) * 3 + ("repeat",) * 2
FIRST_NEAR = 40  # trainings before the best ones are known well enough
ELITE = 8  # best ones that others are near to
STEP = 0.12  # standard deviation of a step from there, as a part of the range
OTHER_CHOICE = 0.15  # probability that a category is drawn anew
LOOKS = 150  # at the fit, for a promising configuration, and as many steps from the best seen

Row = dict[str, Any]


def plan(study: Study, rows: list[Row], *, promising: bool = False) -> Row:
    """What is trained next: why, which parameters, which seed."""
    index = len(rows)
    rng = np.random.default_rng([SEED, index])
    turn = TURNS[index % len(TURNS)] if index else "default"
    if turn == "near" and index < FIRST_NEAR:
        turn = "sobol"
    turn = "promising" if promising else turn
    params, of = {
        "default": lambda: (study.initial(), None),
        "sobol": lambda: (study.from_unit(_sobol(study, rows)), None),
        "near": lambda: (_near(study, rows, rng), None),
        "promising": lambda: (_promising(study, rng), None),
        "repeat": lambda: _repeat(rows, rng),
    }[turn]()
    return {"index": index, "turn": turn, "of": of, "seed": 1000 + index, "params": params}


def _sobol(study: Study, rows: list[Row]) -> Array:
    """The next point (D,) of the study's sequence."""
    count = sum(row["turn"] == "sobol" for row in rows)
    sequence = qmc.Sobol(len(study.distributions), rng=np.random.default_rng(SEED))
    return np.asarray(sequence.fast_forward(count).random()[0] if count else sequence.random()[0])


def _near(study: Study, rows: list[Row], rng: np.random.Generator) -> dict[str, Any]:
    """A step from one of the best."""
    done = [row for row in rows if METRIC in row]
    best = sorted(done, key=lambda row: -row[METRIC])[:ELITE]
    unit = study.to_unit(best[int(rng.integers(len(best)))]["params"])
    return study.from_unit(_step(study, unit, rng))


def _step(study: Study, unit: Array, rng: np.random.Generator) -> Array:
    """A point (D,) of the unit cube a step away."""
    moved = unit + STEP * rng.standard_normal(len(unit))
    moved = 1 - abs(1 - abs(moved))  # mirrored at both ends
    choices = [isinstance(s, CategoricalDistribution) for s in study.distributions.values()]
    again = rng.random(len(unit)) < OTHER_CHOICE
    return np.where(choices, np.where(again, rng.random(len(unit)), unit), moved)


def _promising(study: Study, rng: np.random.Generator) -> dict[str, Any]:
    """What a short search for the maximum of the stored fit ends at; another for every draw."""
    problem = next(problem for problem in recorded_problems() if problem.study is study)

    def promise(unit: Array) -> float:
        return float(np.nan_to_num(problem.truth(study.from_unit(unit)), nan=-1.0))

    best = max(rng.random((LOOKS, len(study.distributions))), key=promise)
    for _ in range(LOOKS):
        best = max(best, _step(study, best, rng), key=promise)
    return study.from_unit(best)


def _repeat(rows: list[Row], rng: np.random.Generator) -> tuple[dict[str, Any], int]:
    """The configuration of the repeat just before, if it has but one, or else another one.

    Every other one of these is among the best quarter.
    """
    repeats = [row["of"] for row in rows if row["turn"] == "repeat"]
    if len(repeats) % 2:
        of = repeats[-1]
    elif not repeats:
        of = 0
    else:
        single = [r for r in rows if METRIC in r and r["of"] is None and r["index"] not in repeats]
        single.sort(key=lambda row: -row[METRIC])
        kept = single[: len(single) // 4] if len(repeats) % 4 else single
        of = kept[int(rng.integers(len(kept)))]["index"]
    return rows[of]["params"], of


def train(study: Study, planned: Row, dataset: Dataset, cache: Pictures) -> Row:
    """Train as planned, measure a few times, and tell what came out."""
    config = TrainConfig(seed=planned["seed"]).with_values(
        {**study.settings, "data.workers": 0, **planned["params"]}
    )
    started, losses = time.process_time(), []
    early: dict[str, float] = {}
    found: dict[str, Any] = {}
    training = Training(config, dataset, cache=cache, device="cpu")
    try:
        while training.epoch < config.epochs:
            losses.append(round(training.train_epoch()["loss"], 4))
            if training.epoch in EARLY_EPOCHS:
                early[str(training.epoch)] = round(training.measure()({}).metrics[METRIC], 5)
        metrics = training.measure()({}).metrics
        found = {name: round(metrics[name], 5) for name in ("AP", "AP50", "AP75")}
    except Diverged as error:
        found = {"failure": f"{error.where}: {error.what}"}
    finally:
        training.train_loader.close()
    seconds = round(time.process_time() - started, 2)
    return planned | found | {"early": early, "losses": losses, "cpu_s": seconds}


def record(
    study: Study, data: Path, out: Path, trainings: int, *, promising: bool = False
) -> None:
    """Append trainings to `out` until there are so many."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    dataset = load_dataset(data, seed=0)
    records = [*dataset.splits["train"], *dataset.splits["val"]]
    cache = new_cache(1024, records, 2 * study.settings["image_size"], shared=False)
    rows = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    while len(rows) < trainings:
        row = train(study, plan(study, rows, promising=promising), dataset, cache)
        rows.append(row)
        with out.open("a") as file:
            file.write(json.dumps(row) + "\n")
        log.info("training=%d turn=%s AP50=%s cpu_s=%s",
                 row["index"], row["turn"], row.get(METRIC), row["cpu_s"])  # fmt: skip


def main(arguments: list[str]) -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", choices=sorted(STUDIES))
    parser.add_argument("out", type=Path)
    parser.add_argument("--trainings", type=int, default=170)
    parser.add_argument("--data", type=Path, help="folder of the data set, unless it is digits")
    parser.add_argument("--promising", action="store_true", help="where the stored fit says")
    given = parser.parse_args(arguments)
    study = STUDIES[given.study]
    data = digits_folder() if study.data == "digits" else given.data
    record(study, data, given.out, given.trainings, promising=given.promising)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    main(sys.argv[1:])
