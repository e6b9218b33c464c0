import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from evolve.analysis.surrogate import Surrogate, _fit, _misfit
from evolve.search.operators.encoding import decode_all

SPACE = {
    "lr": FloatDistribution(1e-4, 1e-1, log=True),
    "wd": FloatDistribution(0.0, 1.0),
    "loss": CategoricalDistribution(["iou", "giou", "ciou"]),
}


def value(params):
    return -((np.log10(params["lr"]) + 2) ** 2) + 2.0 * (params["loss"] == "giou")


@pytest.fixture(scope="module")
def surrogate():
    rng = np.random.default_rng(0)
    params = [decode_all(rng.random(3), SPACE) for _ in range(40)]
    return Surrogate(params, [value(p) + rng.normal(0, 0.05) for p in params], SPACE)


def test_it_knows_what_the_trials_show(surrogate):
    tried = [
        {"lr": lr, "wd": 0.5, "loss": loss}
        for lr in (1e-3, 1e-2, 5e-2)
        for loss in ("iou", "giou", "ciou")
    ]
    np.testing.assert_allclose(surrogate.predict(tried), [value(p) for p in tried], atol=0.2)


def test_it_is_less_sure_far_from_the_trials(surrogate):
    far = Surrogate([{"wd": 0.0}, {"wd": 0.05}, {"wd": 0.1}], [0, 1, 0], {"wd": SPACE["wd"]})
    near, away = far.sd([{"wd": 0.05}, {"wd": 1.0}])
    assert near < away
    assert (surrogate.sd([{"lr": 1e-2, "wd": 0.5, "loss": "iou"}]) < 0.2).all()


def test_neighbours_are_wrong_together(surrogate):
    close = [{"lr": 1e-2, "wd": wd, "loss": "iou"} for wd in (0.5, 0.51)]
    covariance = surrogate.covariance(close)
    gain_variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    assert gain_variance < 0.1 * covariance[0, 0]


def test_an_absent_parameter_is_told_from_every_value():
    space = {"gamma": FloatDistribution(0.0, 1.0), "wd": SPACE["wd"]}
    grid = np.linspace(0, 1, 8)
    params = [{"wd": w} for w in grid] + [{"wd": w, "gamma": w} for w in grid]
    model = Surrogate(params, [1.0] * 8 + [0.0] * 8, space)
    absent, middle = model.predict([{"wd": 0.5}, {"wd": 0.5, "gamma": 0.5}])
    assert absent == pytest.approx(1, abs=0.1)
    assert middle == pytest.approx(0, abs=0.1)


def test_many_trials_are_thinned(monkeypatch):
    monkeypatch.setattr("evolve.analysis.surrogate.MOST_TRIALS", 5)
    params = [{"wd": w} for w in np.linspace(0, 1, 12)]
    values = [p["wd"] for p in params]
    one, two = (Surrogate(params, values, {"wd": SPACE["wd"]}).predict(params) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_allclose(one, values, atol=0.2)


def test_the_quick_likelihood_is_scikit_learns():
    rng = np.random.default_rng(0)
    points, targets = rng.random((30, 4)), rng.standard_normal(30)
    kernel = ConstantKernel(1.0) * Matern(np.ones(4), nu=2.5) + WhiteKernel(0.1)
    process = GaussianProcessRegressor(kernel, optimizer=None).fit(points, targets)
    for theta in rng.normal(0, 1, (4, 6)):
        value, gradient = process.log_marginal_likelihood(theta, eval_gradient=True)
        ours, slopes = _misfit(theta, points, targets)
        assert ours == pytest.approx(-value)
        np.testing.assert_allclose(slopes, -gradient, rtol=1e-7)


def test_both_ways_find_the_same_process():
    rng = np.random.default_rng(1)
    points = rng.random((60, 3))
    values = np.sin(5 * points[:, 0]) + points[:, 1] + rng.normal(0, 0.1, 60)
    quick, plain = (_fit(points, values, 0, quickly=quickly) for quickly in (True, False))
    likelihoods = [process.log_marginal_likelihood_value_ for process in (quick, plain)]
    assert likelihoods[0] == pytest.approx(likelihoods[1], abs=1e-3)
    np.testing.assert_allclose(quick.predict(points), plain.predict(points), atol=1e-3)
