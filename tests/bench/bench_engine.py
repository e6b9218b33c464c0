"""Seconds the engine itself costs a trial: trials that do nothing, on two workers.

The whole process is timed at two lengths; the difference leaves Ray's start out.
Run with ``pytest tests/bench/bench_engine.py --benchmark-only``.
"""

import subprocess
import sys
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


def _run(folder, engine, trials, name):
    arguments = [
        *("run", "--space", "empty.yaml", "--trainer", "curve", "--data", "curve-0"),
        *("--engine", engine, "--workers", "2", "--trials", str(trials), "--out", name),
        *("--confirm", "0"),
    ]
    subprocess.run(
        [sys.executable, "-m", "evolve", "--quiet", *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(folder)},
        check=True,
        capture_output=True,
    )


@pytest.mark.parametrize("engine", ["ray", "inline"])
@pytest.mark.parametrize("trials", [10, 110])
def test_empty_trials(benchmark, tmp_path, engine, trials):
    """Overhead of a trial = (median at 110 - median at 10) / 100."""
    (tmp_path / "empty.yaml").write_text(SPACE)
    (tmp_path / "curve-0").mkdir()
    names = (f"out-{index}" for index in range(1000))
    benchmark.pedantic(
        lambda: _run(tmp_path, engine, trials, next(names)), rounds=3, warmup_rounds=1
    )
