"""What the engine itself costs: ``python -m tests.bench.bench_engine``, about three minutes.

- Seconds of the wall for a trial that does nothing, on Ray and inline, from the moments in the
  run's journal, so that the start of Ray and Python is left out. Beside them Ray Tune as its
  documentation begins: a function trainable, a process a trial.
- Milliseconds of the processor for an ask and a tell with so many trials before, in memory.
- The share of two workers' time in which no trial of a second is trained, once both have ended
  one, and with the start of their processes.

``--parts`` takes some of them, ``--trials`` makes runs longer and figures steadier.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import optuna
from optuna.trial import TrialState, create_trial

from evolve.search.factory import build_sampler
from evolve.search.genome import GenomeSpace
from evolve.space import find_space_file, load_space
from evolve.store.journal import read_journal

ROOT = Path(__file__).parents[2]
LENGTHS = (10, 1_000, 10_000)
ASKED = 30
SPACE = """
trials: 5
scheduler: none
train: {epochs: 1, image_size: 96}
parameters:
  optimizer.lr: {type: float, low: 1.0e-4, high: 0.1, scale: log, default: 1.0e-2, why: step}
"""
PLAIN = """
import logging, sys, time
import ray
from ray import tune

def trial(config):
    tune.report({"AP": config["lr"]})

def seconds(trials):
    started = time.perf_counter()
    tune.Tuner(
        tune.with_resources(trial, {"cpu": 1}),
        param_space={"lr": tune.loguniform(1e-4, 0.1)},
        tune_config=tune.TuneConfig(num_samples=trials),
        run_config=tune.RunConfig(storage_path=sys.argv[2], verbose=0),
    ).fit()
    return time.perf_counter() - started

ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False,
         logging_level=logging.ERROR)
short, trials = seconds(2), int(sys.argv[1])
print((seconds(2 + trials) - short) / trials)
"""


def _python(folder: Path, *arguments: str) -> str:
    """What a Python process of its own says."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={
            "PYTHONPATH": str(ROOT), "PATH": os.defpath, "HOME": str(folder),
            "OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        },
        check=False,
        capture_output=True,
        text=True,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)}\n{done.stderr[-2000:]}")
    return done.stdout


def _moments(folder: Path, engine: str, trials: int, epoch_s: int) -> tuple[float, list[float]]:
    """When the first trial of a run of two workers began, and when each ended."""
    (folder / "empty.yaml").write_text(SPACE)
    (folder / f"curve-{epoch_s}").mkdir()
    _python(
        folder, "-m", "evolve", "--quiet", "run", "--space", "empty.yaml", "--trainer", "curve",
        "--data", f"curve-{epoch_s}", "--engine", engine, "--workers", "2",
        "--trials", str(trials), "--out", "out", "--confirm", "0", "--no-probe",
    )  # fmt: skip
    events = list(read_journal(folder / "out" / "journal.jsonl"))
    begun = min(event["at"] for event in events if event["event"] == "begin")
    return begun, [event["at"] for event in events if event["event"] == "end"]


def seconds_a_trial(folder: Path, engine: str, trials: int) -> float:
    """Between the ends of empty trials, the first two left out: they wait for their workers."""
    _, ended = _moments(folder, engine, trials, 0)
    return (ended[-1] - ended[1]) / (trials - 2)


def plain_seconds_a_trial(folder: Path, trials: int) -> float:
    """The same of Ray Tune's function trainables."""
    (folder / "plain.py").write_text(PLAIN)
    return float(_python(folder, "plain.py", str(trials), str(folder / "ray")).splitlines()[-1])


def idle_shares(folder: Path, trials: int) -> tuple[float, float, float]:
    """Of two workers with trials of a second: once both run; from the first begin; the span, s.

    The last trial counts in neither, as it may have no other beside it.
    """
    begun, ended = _moments(folder, "ray", trials, 1)
    late, whole = ended[-2] - ended[1], ended[-2] - begun
    return 1.0 - (trials - 3) / (2.0 * late), 1.0 - (trials - 1) / (2.0 * whole), whole


def ask_and_tell_ms(trials: int) -> float:
    """Median of the processor's milliseconds after so many trials, with ga.yaml's parameters."""
    space = load_space(find_space_file("ga"))
    kinds = space.distributions()
    study = optuna.create_study(direction="maximize", sampler=build_sampler("genetic", 0, space))
    study.add_trials(_earlier(GenomeSpace(kinds), trials))
    spent = []
    for number in range(2 + ASKED):
        began = time.process_time()
        trial = study.ask(kinds)
        study.tell(trial, trial.params["optimizer.lr"] + 1e-4 * number)
        spent.append(time.process_time() - began)
    return 1e3 * statistics.median(spent[2:])  # the first look at all trials


def _earlier(space: GenomeSpace, count: int) -> list[optuna.trial.FrozenTrial]:
    """Trials of a long run: one in ten failed, half stopped early."""
    rng = np.random.default_rng(0)
    found = []
    for number, genes in enumerate(rng.random((count, len(space)))):
        options = {"params": space.decode(genes), "distributions": space.distributions}
        if number % 10 == 9:
            found.append(create_trial(state=TrialState.FAIL, **options))
            continue
        value = 0.6 - float(((genes - 0.4) ** 2).mean()) + 0.01 * float(rng.standard_normal())
        steps = (1, 3, 9)[: 1 + number % 3]
        curve = {step: value * step / 9 for step in steps}
        state = TrialState.COMPLETE if number % 2 else TrialState.PRUNED
        found.append(create_trial(state=state, value=value, intermediate_values=curve, **options))
    return found


def _engines(trials: int) -> dict[str, Callable[[Path], str]]:
    return {
        "ray": lambda folder: f"{seconds_a_trial(folder, 'ray', trials):.3f} s a trial",
        "inline": lambda folder: f"{seconds_a_trial(folder, 'inline', trials):.3f} s a trial",
        "plain": lambda folder: f"{plain_seconds_a_trial(folder, trials // 5):.3f} s a trial",
        "idle": lambda folder: _idle(folder, trials // 2),
        "ask": lambda _: ", ".join(f"{n}: {ask_and_tell_ms(n):.1f} ms" for n in LENGTHS),
    }


def _idle(folder: Path, trials: int) -> str:
    late, whole, span_s = idle_shares(folder, trials)
    return f"{late:.1%} once both run, {whole:.1%} of {span_s:.1f} s with their start"


def main() -> None:
    """Measure and print, as JSON in the last line."""
    known = tuple(_engines(1))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default=",".join(known), help="some of " + ", ".join(known))
    parser.add_argument("--trials", type=int, default=60, help="of a run; fewer where it is slow")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    parts, said = _engines(options.trials), {}
    for name in options.parts.split(","):
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            said[name] = parts[name](Path(folder))
        took_s = time.perf_counter() - began
        sys.stdout.write(f"{name:>7}: {said[name]}  (in {took_s:.0f} s)\n")
        sys.stdout.flush()
    sys.stdout.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    main()
