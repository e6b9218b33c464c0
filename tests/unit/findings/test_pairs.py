from functools import partial

import numpy as np
from optuna.distributions import FloatDistribution
from optuna.trial import create_trial

from evolve.analysis.interactions import measure_interactions
from evolve.findings.cache import Cache
from evolve.findings.pairs import interactions_of

SPACE = {name: FloatDistribution(0.0, 1.0) for name in ("x", "y")}


def test_kept_interactions_are_those_that_were_measured(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    trials = []
    for x, y in rng.random((40, 2)).tolist():
        value = float((x > 0.5) == (y > 0.3)) + x
        trials.append(create_trial(params={"x": x, "y": y}, distributions=SPACE, value=value))
    few = partial(measure_interactions, resamples=4)
    monkeypatch.setattr("evolve.findings.pairs.measure_interactions", few)
    cache = Cache(tmp_path / "f.json")
    first = interactions_of(trials, cache)
    assert [one.first for one in first.surfaces] == ["x"]
    cache.write()
    monkeypatch.setattr("evolve.findings.pairs.measure_interactions", None)
    again = interactions_of(trials, Cache(tmp_path / "f.json"))
    assert again.frame.equals(first.frame)
    assert again.main == first.main
    assert np.array_equal(again.surfaces[0].values, first.surfaces[0].values)
