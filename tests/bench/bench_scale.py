"""Ten thousand trials on 512 workers that do not exist: ``python -m tests.bench.bench_scale``.

Prints seconds and memory of the driver as the run grows, and leaves the run folder where it is
told to, for `evolve status` and `evolve report`.
"""

import argparse
import json
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path

from evolve.engine.coordinator import Coordinator, Settings
from evolve.runs import build_run_scheduler
from evolve.search.factory import build_sampler
from evolve.space import Space, find_space_file, load_space
from evolve.store.folder import RunFolder
from evolve.store.journal import Journal
from evolve.store.manifest import FORMAT
from evolve.store.study import open_own_storage, open_study, sqlite_url
from evolve.testing.simulated import Fleet, VirtualClock, run_simulated


class Silent:
    """A listener that does not care."""

    def __getattr__(self, name: str) -> object:
        return lambda *_: None


def a_space(trials: int, epochs: int, scheduler: str, sampler: str) -> Space:
    """ga.yaml's parameters, with learning rates that diverge in a tenth of the space."""
    space = load_space(find_space_file("ga.yaml"))
    base = space.base.with_values({"epochs": epochs, "image_size": 96})
    return replace(space, base=base, trials=trials, scheduler=scheduler, sampler=sampler)


def main() -> None:
    """Run and measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=512)
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--scheduler", default="asha")
    parser.add_argument("--sampler", default="genetic")
    options = parser.parse_args()
    space = a_space(options.trials, options.epochs, options.scheduler, options.sampler)
    folder, clock = RunFolder.create(options.out), VirtualClock()
    manifest = {
        "format": FORMAT, "name": options.out.name, "objective": "AP", "seed": 0,
        "sampler": space.sampler, "scheduler": space.scheduler, "trials": options.trials,
        "confirm": "0", "trainer": "curve", "space": space.to_dict(),
        "train": space.base.to_dict(), "data": {"name": "curve", "path": "curve-0"},
        "workers": options.workers, "judged_on": "test", "test_opened": False,
    }  # fmt: skip
    folder.write_json(folder.manifest, manifest)
    study = open_study(open_own_storage(sqlite_url(folder.study)))
    study.sampler = build_sampler(space.sampler, 0, space)
    coordinator = Coordinator(
        study,
        space,
        folder,
        build_run_scheduler(space, 0),
        Settings(options.trials, 0, Path("curve-0"), "curve", threads=1),
        Silent(),
        Journal(folder.journal, clock),
    )
    started, ended = time.perf_counter(), 0

    def watch() -> None:
        nonlocal ended
        ended += 1
        if ended % 1000 == 0:
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            seconds = time.perf_counter() - started
            sys.stdout.write(f"{ended} ended after {seconds:.1f} s, {memory:.0f} MB\n")
            sys.stdout.flush()

    run_simulated(coordinator, Fleet(options.workers, deaths=0.002), clock, watch)
    states: dict[str, int] = {}
    for trial in study.get_trials(deepcopy=False):
        states[trial.state.name] = states.get(trial.state.name, 0) + 1
    seconds = time.perf_counter() - started
    about = {"seconds": round(seconds, 1), "cpu_s": round(time.process_time(), 1),
             "virtual_hours": round(clock.time / 3600, 1), "states": states}  # fmt: skip
    sys.stdout.write(json.dumps(about) + "\n")


if __name__ == "__main__":
    main()
