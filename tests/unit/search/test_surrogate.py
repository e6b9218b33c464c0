"""The Gaussian process over genomes."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from evolve.search.surrogate import (
    Hyper,
    Prior,
    believed,
    condition,
    fit,
    kernel,
    loss,
    weigh,
)

NUMBERS = np.zeros(2, dtype=bool)
MIXED = np.array([False, True, False])
TAGGED = np.array([False, False, True])


def hyper(*weights: float, variance: float = 1.0, noise: float = 0.0, mean: float = 0.0) -> Hyper:
    return Hyper(np.array(weights), variance, noise, mean)


def some_points(count: int = 20) -> np.ndarray:
    points = np.random.default_rng(0).random((count, 3))
    points[:, 1] = np.round(points[:, 1] * 2) / 2
    return points


def test_the_kernel_is_matern_in_the_weighted_distance():
    found = kernel(np.zeros((1, 2)), np.array([[0.3, 0.2]]), NUMBERS, hyper(2.0, 4.0, variance=3))
    apart = np.sqrt(5) * 1.0  # sqrt(0.6^2 + 0.8^2)
    assert found[0, 0] == pytest.approx(3 * (1 + apart + apart**2 / 3) * np.exp(-apart))


def test_choices_are_equal_or_not_however_far_their_numbers():
    three = np.array([[0.1], [0.5], [0.9]])
    found = kernel(three, three, np.array([True]), hyper(0.7))
    as_number = kernel(np.array([[0.0]]), np.array([[1.0]]), np.array([False]), hyper(0.7))
    np.testing.assert_allclose(found[~np.eye(3, dtype=bool)], as_number[0, 0])
    np.testing.assert_allclose(np.diag(found), 1.0)


def test_the_kernel_is_symmetric_and_positive():
    points = some_points()
    found = kernel(points, points, MIXED, hyper(1.0, 2.0, 0.5, variance=2.0))
    np.testing.assert_allclose(found, found.T, atol=1e-14)
    np.testing.assert_allclose(np.diag(found), 2.0)
    assert np.linalg.eigvalsh(found).min() > 0


def test_without_noise_it_passes_through_what_was_seen_and_is_sure_of_it():
    points = some_points()
    values = np.sin(4 * points[:, 0]) + points[:, 1]
    one = condition(points, values, np.zeros(20), MIXED, hyper(2.0, 1.0, 0.5))
    mean, sd = one.predict(points)
    np.testing.assert_allclose(mean, values, atol=1e-3)
    assert sd.max() < 2e-3


def test_the_mean_alone_equals_that_of_a_prediction():
    points, others = some_points(), np.random.default_rng(1).random((7, 3))
    one = condition(points, points.sum(axis=1), np.zeros(20), MIXED, hyper(2.0, 1.0, 0.5))
    np.testing.assert_array_equal(one.expect(others), one.predict(others)[0])


def test_far_from_everything_it_expects_its_mean_and_knows_nothing():
    one = condition(
        np.zeros((1, 1)), np.ones(1), np.zeros(1), NUMBERS[:1], hyper(50.0, variance=4, mean=-0.5)
    )
    mean, sd = one.predict(np.ones((1, 1)))
    assert (mean[0], sd[0]) == (pytest.approx(-0.5), pytest.approx(2.0))


def test_a_doubtful_value_is_believed_less():
    points = np.array([[0.0], [1.0]])
    extra = np.array([0.0, 3.0])
    one = condition(points, np.array([1.0, 1.0]), extra, NUMBERS[:1], hyper(50.0))
    mean, sd = one.predict(points)
    np.testing.assert_allclose(mean, [1.0, 0.25], atol=1e-4)  # of variances 1 and 3
    np.testing.assert_allclose(sd, [1e-3, np.sqrt(0.75)], atol=1e-4)


def two_studies(points: np.ndarray) -> np.ndarray:
    """Points whose last gene, a choice, tells studies apart; every other one is of the second."""
    return np.column_stack([points[:, [0, 2]], np.arange(len(points)) % 2])


@pytest.mark.parametrize("study", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_of_the_loss_is_its_slope(seed, study):
    rng = np.random.default_rng(seed)
    points, nominal = some_points(12), MIXED
    if study:
        points, nominal = two_studies(points), TAGGED
    values, extra = rng.standard_normal(12), rng.random(12)
    evidence = weigh(points, values, extra, nominal, -0.3, Prior(), study)
    theta = rng.normal(0.0, 0.5, 6)
    slope = approx_fprime(theta, lambda at: loss(at, evidence)[0], 1e-6)
    np.testing.assert_allclose(loss(theta, evidence)[1], slope, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("study", [False, True])
def test_the_loss_is_the_density_of_the_values_and_the_priors(study):
    points, values = some_points(4), np.array([0.3, -1.0, 0.2, 2.0])
    points, nominal = (two_studies(points), TAGGED) if study else (points, MIXED)
    theta = np.array([0.1, -0.4, 0.3, 0.2, -1.0, -0.7])
    evidence = weigh(points, values, np.zeros(4), nominal, 0.5, Prior(), study)
    given = Hyper(np.exp(theta[:3]), np.exp(0.2), np.exp(-1.0), 0.5, np.exp(-0.7), study)
    covariance = kernel(points, points, nominal, given) + (np.exp(-1.0) + 1e-6) * np.eye(4)
    off = values - 0.5
    data = 0.5 * off @ np.linalg.inv(covariance) @ off + 0.5 * np.linalg.slogdet(covariance)[1]
    length = (theta[:3] + np.sqrt(2) + 0.5 * np.log(3)) / np.sqrt(3)
    rest = 0.2**2 + ((-1.0 + 3.0) / 1.5) ** 2 + ((-0.7 + 1.5) / 1.5) ** 2
    priors = 0.5 * (length @ length + rest)
    assert loss(theta, evidence)[0] == pytest.approx(data + priors)


def test_a_fit_lowers_the_loss_and_finds_what_matters():
    points = np.random.default_rng(0).random((30, 3))
    values = np.sin(6 * points[:, 2])
    found = fit(points, values, np.zeros(30), np.zeros(3, dtype=bool), 0.0)
    assert found.weights[2] > 5 * max(found.weights[:2])
    assert found.noise < 0.01
    evidence = weigh(points, values, np.zeros(30), np.zeros(3, dtype=bool), 0.0, Prior())
    fitted = np.log([*found.weights, found.variance, found.noise, found.main])
    plain = np.array([0.0, 0.0, 0.0, 0.0, -3.0, -1.5])
    assert loss(fitted, evidence)[0] < loss(plain, evidence)[0]


def test_main_effects_are_found_far_from_any_point():
    rng = np.random.default_rng(0)
    points = np.concatenate([0.4 + 0.2 * rng.random((20, 1)), rng.random((20, 5))], axis=1)
    values = points @ np.array([0.0, 1.0, -1.0, 0.5, -0.5, 2.0])
    nominal = np.zeros(6, dtype=bool)
    given = fit(points, values - values.mean(), np.zeros(20), nominal, 0.0)
    process = condition(points, values - values.mean(), np.zeros(20), nominal, given)
    corner = np.array([[0.5, 1.0, 0.0, 1.0, 0.0, 1.0]])
    mean, sd = process.predict(corner)
    assert mean[0] + values.mean() == pytest.approx(3.5, abs=0.5)
    assert sd[0] > 0


def test_main_effects_between_studies_fall_as_all_else_does():
    points = np.array([[0.2, 0.3, 0.0], [0.2, 0.3, 1.0], [0.9, 0.1, 0.0]])
    weights = np.array([1.0, 1.0, 0.8])
    one = kernel(points, points, TAGGED, Hyper(weights, 1e-12, 0.0, 0.0, 1.0))
    many = kernel(points, points, TAGGED, Hyper(weights, 1e-12, 0.0, 0.0, 1.0, study=True))
    scaled = np.sqrt(5) * 0.8
    fallen = (1 + scaled + scaled**2 / 3) * np.exp(-scaled)
    assert many[0, 1] == pytest.approx(fallen * one[0, 1])
    assert many[1, 2] == pytest.approx(fallen * one[1, 2])
    assert many[0, 2] == one[0, 2]


def test_a_study_that_says_the_opposite_is_found_out():
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.random((60, 4)), np.arange(60) % 2])
    nominal = np.array([False] * 4 + [True])
    slope = points[:, :4] @ np.array([1.0, -1.0, 2.0, 0.5])
    values = np.where(points[:, 4] == 0, slope, -slope)
    values = (values - values.mean()) / values.std()
    given = fit(points, values, np.zeros(60), nominal, 0.0, study=True)
    low, high = np.array([[0, 1, 0, 0, 0]]), np.array([[1, 0, 1, 1, 0]])
    assert (
        kernel(low, np.array([[0, 1, 0, 0, 1]]), nominal, given)[0, 0]
        < 0.3 * (kernel(low, low, nominal, given)[0, 0])
    )
    process = condition(points, values, np.zeros(60), nominal, given)
    assert process.predict(high)[0] > process.predict(low)[0] + 1.0


def test_the_variances_are_the_diagonal_of_the_kernel():
    points = some_points(7)
    given = Hyper(np.array([1.0, 2.0, 0.5]), 0.7, 0.1, 0.0, 0.4)
    far = condition(points[:1], np.zeros(1), np.full(1, 1e9), MIXED, given)
    _, sd = far.predict(points)
    np.testing.assert_allclose(sd**2, np.diag(kernel(points, points, MIXED, given)), rtol=1e-6)


def test_a_fit_tells_noise_from_shape():
    rng = np.random.default_rng(0)
    values = rng.standard_normal(40)
    points = np.repeat(rng.random((20, 2)), 2, axis=0)  # every point twice
    found = fit(points, values, np.zeros(40), NUMBERS, 0.0)
    assert 0.3 < found.noise < 1.5  # 1, drawn towards what the prior expects


def test_a_process_that_is_believed_keeps_its_means_and_is_surer_there():
    rng = np.random.default_rng(0)
    nominal = np.array([False] * 4 + [True])
    points, more, others = (rng.random((count, 5)) for count in (60, 20, 50))
    for part in (points, more, others):
        part[:, 4] = np.round(part[:, 4])
    hyper = Hyper(np.ones(5), 1.0, 0.05, 0.0, 0.3)
    values = rng.standard_normal(60)
    process = condition(points, values, np.zeros(60), nominal, hyper)
    means, _ = process.predict(more)
    everything = np.concatenate([points, more]), np.concatenate([values, means])
    slow = condition(*everything, np.zeros(80), nominal, hyper).predict(others)
    fast = believed(process, more).predict(others)
    np.testing.assert_allclose(fast, slow, atol=1e-3)
    np.testing.assert_allclose(fast[0], process.predict(others)[0], atol=1e-4)
