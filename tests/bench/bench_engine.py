"""What the engine itself costs: seconds a trial that does nothing, and workers that wait.

Whole processes are timed at two lengths; the difference leaves Ray's start out. Beside evolve's
engines stands Ray Tune as its documentation begins: a function trainable, a process a trial.
Run with ``pytest tests/bench/bench_engine.py --benchmark-only``.
"""

import json
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SPACE = """
trials: 5
scheduler: none
train: {epochs: 1, image_size: 96}
parameters:
  optimizer.lr: {type: float, low: 1.0e-4, high: 0.1, scale: log, default: 1.0e-2, why: step}
"""
PLAIN = """
import logging, sys
import ray
from ray import tune

def trial(config):
    tune.report({"AP": config["lr"]})

ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False,
         logging_level=logging.ERROR)
tune.Tuner(
    tune.with_resources(trial, {"cpu": 1}),
    param_space={"lr": tune.loguniform(1e-4, 0.1)},
    tune_config=tune.TuneConfig(num_samples=int(sys.argv[1])),
    run_config=tune.RunConfig(storage_path=sys.argv[2], verbose=0),
).fit()
"""


@pytest.fixture
def work(tmp_path):
    """A folder with a space and two data sets: of epochs of 0 and of 1 second."""
    (tmp_path / "empty.yaml").write_text(SPACE)
    for seconds in ("0", "1"):
        (tmp_path / f"curve-{seconds}").mkdir()
    return tmp_path


def _python(folder, *arguments):
    subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={
            "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(folder),
            "OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        },
        check=True,
        capture_output=True,
    )  # fmt: skip


def _run(folder, engine, trials, name, data="curve-0"):
    _python(
        folder, "-m", "evolve", "--quiet", "run", "--space", "empty.yaml", "--trainer", "curve",
        "--data", data, "--engine", engine, "--workers", "2", "--trials", str(trials),
        "--out", name, "--confirm", "0", "--no-probe",
    )  # fmt: skip


@pytest.mark.parametrize("engine", ["ray", "inline"])
@pytest.mark.parametrize("trials", [10, 110])
def test_empty_trials(benchmark, work, engine, trials):
    """Overhead of a trial = (median at 110 - median at 10) / 100."""
    names = (f"out-{index}" for index in count())
    benchmark.pedantic(lambda: _run(work, engine, trials, next(names)), rounds=3, warmup_rounds=1)


@pytest.mark.parametrize("trials", [10, 50])
def test_empty_trials_of_plain_ray_tune(benchmark, work, trials):
    """Overhead of a trial = (median at 50 - median at 10) / 40; two at once."""
    (work / "plain.py").write_text(PLAIN)
    names = (work / f"ray-{index}" for index in count())
    benchmark.pedantic(
        lambda: _python(work, "plain.py", str(trials), str(next(names))), rounds=2, warmup_rounds=0
    )


def test_idle_share_of_two_workers_with_trials_of_a_second(benchmark, work):
    """Of the time from the first trial's begin to the last one's end; in `extra_info`."""
    benchmark.pedantic(lambda: _run(work, "ray", 40, "idle", "curve-1"), rounds=1)
    lines = (work / "idle" / "journal.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    begun = [event["at"] for event in events if event["event"] == "begin"]
    ended = [event["at"] for event in events if event["event"] == "end"]
    span = max(ended) - min(begun)
    benchmark.extra_info["idle_share"] = 1.0 - len(ended) / (2.0 * span)
    sys.stdout.write(f"idle share {benchmark.extra_info['idle_share']:.3f} of {span:.1f} s\n")
