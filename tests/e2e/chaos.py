"""A small evolution under random kills until it is done, beside its undisturbed twin.

``python -m tests.e2e.chaos --seeds 20`` plays many; one is in the test suite. With one worker the
order of results is certain, so the whole of the genetic search and of ASHA is compared; with two,
proposals that do not depend on results (qmc) and no scheduler. What is compared: every trial's
state, parameters, value and metrics of every epoch, bit for bit, and the final comparison's.
"""

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import optuna
import psutil

from evolve.store.comparison import read_comparison
from evolve.store.folder import RunFolder
from evolve.store.study import STUDY_NAME, sqlite_url

ROOT = Path(__file__).parents[2]
SPACE = """
objective: AP
trials: 8
train: {epochs: 5, image_size: 96}
parameters:
  optimizer.lr: {type: float, low: 1.0e-3, high: 1.0, scale: log, default: 2.0e-3}
  optimizer.momentum: {type: float, low: 0.8, high: 0.98, default: 0.9}
"""
WAYS = {
    1: ("--sampler", "genetic", "--scheduler", "asha"),
    2: ("--sampler", "qmc", "--scheduler", "none"),
}
KILLS = (4, 9)  # of one run
MOST_WORKER_KILLS = 3  # after more a trial would fail, as it should
LIMIT_S = 600.0


def command(work: Path, *arguments: str) -> subprocess.Popen[str]:
    """An `evolve` in a session of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "evolve", *arguments],
        cwd=work,
        env={**os.environ, "PYTHONPATH": str(ROOT), "EVOLVE_CHECKPOINT_EVERY_S": "0.2"},
        stdout=subprocess.DEVNULL,
        stderr=(work / "errors.txt").open("a"),
        start_new_session=True,
        text=True,
    )


def arguments(out: str, data: str, workers: int, engine: str) -> tuple[str, ...]:
    """Of `evolve run`."""
    fixed = ("--space", "space.yaml", "--trainer", "curve", "--confirm", "1x1", "--no-probe")
    return ("run", *fixed, "--data", data, "--out", out, "--engine", engine,
            "--workers", str(workers), *WAYS[workers])  # fmt: skip


def prepare(work: Path) -> None:
    """A space, and two data sets: of epochs that last and of others."""
    (work / "space.yaml").write_text(SPACE)
    (work / "curve-0").mkdir()
    (work / "curve-0.3").mkdir()


def play(work: Path, seed: int, workers: int) -> list[str]:
    """Run under kills until done; what was killed, in order."""
    rng, killed, worker_kills = random.Random(seed), [], 0
    most = rng.randint(*KILLS)
    started = time.monotonic()
    while True:
        if time.monotonic() - started > LIMIT_S:
            raise AssertionError(f"not done in time; killed so far: {killed}")
        process = command(work, *arguments("run", "curve-0.3", workers, "ray"))
        process_killed = False
        while not process_killed:
            try:
                patience = rng.uniform(1.0, 12.0) if len(killed) < most else LIMIT_S
                if process.wait(patience) == 0:
                    return killed
                break  # it gave up by itself; the next goes on
            except subprocess.TimeoutExpired:
                victim = rng.choice(["driver", "driver", "tree", "worker", "ray", "term"])
            if victim == "worker":
                if worker_kills == MOST_WORKER_KILLS:
                    continue
                worker_kills += kill_one(process.pid, "ray::")
            elif victim == "ray":
                kill_one(process.pid, "raylet")
            elif victim == "tree":
                for one in descendants(process.pid):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        one.kill()
                process.kill()
            else:
                process.send_signal(signal.SIGTERM if victim == "term" else signal.SIGKILL)
            killed.append(victim)
            if victim in ("driver", "tree", "term"):
                process.wait(60)
                process_killed = True
            elif victim == "ray":
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(20)
                if process.poll() is None:  # a driver without its Ray may wait for it for long
                    process.kill()
                    process.wait()
                process_killed = True


def descendants(pid: int) -> list[psutil.Process]:
    """All processes below one."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).children(recursive=True)
    return []


def kill_one(pid: int, name: str) -> int:
    """Kill the first process below one whose name begins so; how many that were."""
    for one in descendants(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            if one.name().startswith(name) or any(name in part for part in one.cmdline()[:1]):
                one.kill()
                return 1
    return 0


def told(out: Path) -> dict[str, object]:
    """All that must be equal."""
    storage = optuna.storages.RDBStorage(sqlite_url(out / "study.db"))
    study = optuna.load_study(study_name=STUDY_NAME, storage=storage)
    trials = {
        t.number: (t.state.name, t.params, t.value, t.intermediate_values, metrics(out, t.number))
        for t in study.get_trials()
    }
    storage.remove_session()
    storage.engine.dispose()
    record = read_comparison(out)
    assert record is not None
    columns = ["row", "seed", "state", "value_val", "value_test", "epochs_done"]
    return {"trials": trials, "final": record.trainings[columns].to_dict("records")}


def metrics(out: Path, number: int) -> list[dict[str, float]]:
    """Of every epoch of a trial."""
    return [row["metrics"] for row in RunFolder(out).trial(number).read_metrics()]


def compare(seed: int, workers: int, work: Path) -> list[str]:
    """Play one seed; what was killed. An AssertionError tells of a difference."""
    prepare(work)
    twin = command(work, *arguments("twin", "curve-0", workers, "inline"))
    assert twin.wait(300) == 0, (work / "errors.txt").read_text()
    killed = play(work, seed, workers)
    ours, theirs = told(work / "run"), told(work / "twin")
    assert ours == theirs, f"seed {seed}, {workers} workers, killed {killed}:\n{ours}\n{theirs}"
    return killed


def main() -> None:
    """Play many seeds and print a line for each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    for seed in range(options.first, options.first + options.seeds):
        with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
            started = time.monotonic()
            workers = 1 + seed % 2
            killed = compare(seed, workers, Path(folder))
            seconds = time.monotonic() - started
            line = f"seed {seed}: {workers} workers, equal after {len(killed)} kills"
            sys.stdout.write(f"{line} ({', '.join(killed)}), {seconds:.0f} s\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
