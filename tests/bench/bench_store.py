"""What a trial costs the store: asked for, four values, ended; in a SQLite file.

`plain` is Optuna's storage as it is, `mirrored` the one that a run writes with. Run with
`pytest tests/bench/bench_store.py`; the machine is in the report of pytest-benchmark.
"""

import optuna
import pytest

from evolve.space import find_space_file, load_space
from evolve.store.mirror import together
from evolve.store.study import open_own_storage, open_storage, open_study, sqlite_url

OPENERS = {"plain": open_storage, "mirrored": open_own_storage}
LIMIT_S = 20e-3  # of the mirrored one, on a loaded machine


@pytest.fixture(autouse=True)
def _quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def _begin(study, kinds):
    with together(study._storage):
        trial = study.ask(kinds)
        for key in ("evolve:origin", "evolve:parents", "evolve:sigma"):
            study._storage.set_trial_user_attr(trial._trial_id, key, [1, 2])
    return trial


def _end(study, trial):
    for step in range(4):
        study._storage.set_trial_intermediate_value(trial._trial_id, step, 0.1 * step)
    with together(study._storage):
        study._storage.set_trial_user_attr(trial._trial_id, "evolve:metrics", {"AP": 0.5})
        study.tell(trial.number, 0.5)


@pytest.mark.parametrize(
    ("storage", "running", "rounds"),
    [("plain", 1, 20), ("plain", 64, 3), ("mirrored", 1, 50), ("mirrored", 512, 50)],
)
def test_a_trial(benchmark, tmp_path, storage, running, rounds):
    kinds = load_space(find_space_file("ga")).distributions()
    opened = OPENERS[storage](sqlite_url(tmp_path / "study.db"))
    study = open_study(opened, optuna.samplers.RandomSampler(seed=0))
    busy = [_begin(study, kinds) for _ in range(running)]

    def step():
        busy.append(_begin(study, kinds))
        _end(study, busy.pop(0))

    benchmark.pedantic(step, rounds=rounds, warmup_rounds=2)
    if benchmark.stats and storage == "mirrored":
        assert benchmark.stats.stats.median < LIMIT_S
