"""What each variant makes of an archive."""

from dataclasses import replace

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from evolve.search.archive import Encoder, read_archive
from evolve.search.breeding import CROSSOVER, IMMIGRANT, OPERATORS
from evolve.search.genome import GenomeSpace
from evolve.search.judge import Fits, Judge
from evolve.search.prior import Prior
from evolve.search.variants.guided import Guided, _counts, observations
from evolve.search.variants.plain import Plain
from evolve.search.variants.variant import Setting, first_free, some_free
from evolve.search.variants.yolov5 import Multiplied

PLANE = {"x": FloatDistribution(0.0, 1.0), "y": FloatDistribution(0.0, 1.0)}
SMALL = {"a": IntDistribution(0, 2), "b": CategoricalDistribution(("p", "q"))}


@pytest.fixture(autouse=True)
def _quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def setting_of(kinds, default=None, satisfied=lambda _: True, **rules) -> Setting:
    space = GenomeSpace(kinds, **rules)
    middle = np.full(len(space), 0.5) if default is None else np.array(default)
    return Setting(space, space.snap(middle[None])[0], satisfied, seed=0)


def archive_of(setting: Setting, rows, values=None, origins=None):
    """Complete trials with these parameters; those whose value is None failed."""
    study = optuna.create_study(direction="maximize")
    values = [0.0] * len(rows) if values is None else values
    origins = [None] * len(rows) if origins is None else origins
    for params, value, origin in zip(rows, values, origins, strict=True):
        kinds = {name: setting.space.distributions[name] for name in params}
        study.add_trial(
            create_trial(
                state=TrialState.FAIL if value is None else TrialState.COMPLETE,
                value=None if value is None else float(value),
                params=params,
                distributions=kinds,
                user_attrs={} if origin is None else {"evolve:origin": origin},
            )
        )
    return read_archive(study, len(rows), Encoder(setting.space))


def bowl(count: int = 20):
    """Trials around a best one at 0.3, 0.3."""
    setting = setting_of(PLANE)
    points = np.random.default_rng(0).random((count, 2))
    rows = [{"x": float(x), "y": float(y)} for x, y in points]
    return setting, archive_of(setting, rows, -((points - 0.3) ** 2).sum(axis=1))


# what is free


def test_the_first_free_genome_is_new_and_keeps_the_constraints():
    setting = setting_of(PLANE, satisfied=lambda params: params["x"] < 0.5)
    archive = archive_of(setting, [{"x": 0.25, "y": 0.5}])
    genes = np.array([[0.25, 0.5], [0.75, 0.5], [0.375, 0.5], [0.25, 0.25]])
    assert first_free(genes, archive, setting) == 2
    assert first_free(genes[:2], archive, setting) is None


def test_a_difference_in_what_does_not_exist_makes_nothing_new():
    kinds = {"kind": CategoricalDistribution(("a", "b")), "x": FloatDistribution(0.0, 1.0)}
    setting = setting_of(kinds, conditions={"x": {"kind": ("b",)}})
    archive = archive_of(setting, [{"kind": "a"}])
    assert first_free(np.array([[0.25, 0.1], [0.25, 0.9]]), archive, setting) is None
    assert first_free(np.array([[0.25, 0.1], [0.75, 0.9]]), archive, setting) == 1


def test_some_free_genome_is_the_last_one_there_is_or_any_allowed_one_or_the_default():
    rng = np.random.default_rng(0)
    all_six = [{"a": a, "b": b} for a in range(3) for b in "pq"]
    setting = setting_of(SMALL)
    last = some_free(archive_of(setting, all_six[:5]), setting, rng)
    assert setting.space.decode(last) == all_six[5]
    again = some_free(archive_of(setting, all_six), setting, rng)
    assert setting.space.decode(again) in all_six
    strict = setting_of(SMALL, satisfied=lambda params: params == {"a": 1, "b": "q"})
    found = some_free(archive_of(strict, all_six), strict, rng)
    assert strict.space.decode(found) == {"a": 1, "b": "q"}
    never = setting_of(SMALL, satisfied=lambda _: False)
    np.testing.assert_array_equal(some_free(archive_of(never, []), never, rng), never.default)


# guided


def test_the_start_lies_around_the_defaults_and_goes_on_without_repeating():
    setting = setting_of({f"x{i}": FloatDistribution(0.0, 1.0) for i in range(8)})
    guided, nothing = Guided(setting, Fits()), archive_of(setting, [])
    genes = [guided.propose(nothing, n, np.random.default_rng(n)).genes for n in range(1, 17)]
    off = [np.sqrt(np.mean((one - 0.5) ** 2)) for one in genes]
    assert 0.05 < min(off) < np.median(off) < max(off) < 0.3
    assert len({one.tobytes() for one in genes}) == 16


def test_a_start_goes_towards_the_defaults_until_it_is_allowed():
    corner = setting_of(PLANE, [0.05, 0.05], lambda params: sum(params.values()) < 0.2)
    guided, nothing = Guided(corner, Fits()), archive_of(corner, [])
    found = [guided.propose(nothing, n, np.random.default_rng(n)).genes for n in range(1, 8)]
    assert all(corner.allows(genes) for genes in found)
    assert len(np.unique(found, axis=0)) == 7


def test_few_trials_with_a_value_keep_the_start_going():
    setting = setting_of(PLANE)
    rows = [{"x": n / 20, "y": 0.5} for n in range(12)]
    archive = archive_of(setting, rows, [0.1, 0.2] + [None] * 10)
    assert Guided(setting, Fits()).propose(archive, 12, np.random.default_rng(0)).origin == "start"


def test_children_gather_where_it_is_good():
    setting, archive = bowl()
    guided = Guided(setting, Fits())
    found = [guided.propose(archive, 20, np.random.default_rng(s)).genes for s in range(12)]
    assert np.median(np.abs(np.array(found) - 0.3)) < 0.1


def test_workers_that_ask_at_once_look_at_different_places():
    setting, archive = bowl()
    guided = Guided(setting, Fits())
    running = np.empty((0, 2))
    for seed in range(8):
        known = replace(archive, running=running)
        child = guided.propose(known, 20, np.random.default_rng(seed)).genes
        running = np.concatenate([running, child[None]])
    gaps = np.linalg.norm(running[:, None] - running[None], axis=2)
    assert np.mean(np.sort(gaps, axis=1)[:, 1]) > 0.01


def test_what_was_fitted_before_changes_no_proposal():
    setting, archive = bowl()
    used = Guided(setting, Fits())
    for seed in range(3):
        used.propose(archive, 20, np.random.default_rng(seed))
    found, fresh = (
        one.propose(archive, 20, np.random.default_rng(7))
        for one in (used, Guided(setting, Fits()))
    )
    np.testing.assert_array_equal(found.genes, fresh.genes)
    assert (found.origin, found.parents, found.sigma) == (fresh.origin, fresh.parents, fresh.sigma)


def test_a_choice_that_was_hardly_tried_gets_its_trials():
    """Poor in the one trial it had, with what depends on it untuned."""
    kinds = {"kind": CategoricalDistribution(("a", "b")), "x": FloatDistribution(0.0, 1.0)}
    setting = setting_of(kinds, [0.25, 0.5], conditions={"x": {"kind": ("b",)}})
    rows = [{"kind": "a"}] * 30 + [{"kind": "b", "x": 0.1}]
    archive = archive_of(setting, rows, [0.5 + n / 1000 for n in range(30)] + [0.0])
    guided = Guided(setting, Fits())
    branch = guided._neglected(archive, 31)
    assert branch is not None
    assert (branch.gene, branch.opens) == (0.75, 1)
    found = [guided.propose(archive, 31, np.random.default_rng(s)).genes[0] for s in range(20)]
    assert found.count(0.75) >= 8
    tried = [{"kind": "b", "x": n / 40} for n in range(40)]
    enough = archive_of(setting, [*rows, *tried], [0.5] * 71)
    assert guided._neglected(enough, 71) is None


def test_a_choice_that_the_constraints_forbid_is_not_waited_for():
    kinds = {"kind": CategoricalDistribution(("a", "b")), "x": FloatDistribution(0.0, 1.0)}
    setting = setting_of(kinds, [0.25, 0.5], lambda params: params["kind"] == "a")
    rows = [{"kind": "a", "x": n / 40} for n in range(40)]
    archive = archive_of(setting, rows, [-((n / 40 - 0.3) ** 2) for n in range(40)])
    guided = Guided(setting, Fits())
    found = [guided.propose(archive, 40, np.random.default_rng(s)) for s in range(12)]
    assert "start" not in {one.origin for one in found}
    assert all(one.genes[0] == 0.25 for one in found)


def test_a_space_without_choices_has_no_branch():
    setting, archive = bowl()
    assert Guided(setting, Fits())._neglected(archive, 300) is None


def test_earlier_studies_are_forgotten_when_there_are_enough_trials():
    setting, some = bowl(30)
    _, many = bowl(60)
    told = [{"x": n / 10, "y": 0.9} for n in range(10)]
    prior = Prior(name="other", params=told, values=[n / 10 for n in range(10)])
    for archive, equal in ((some, False), (many, True)):
        number = len(archive)
        with_it, without = (
            Guided(setting, Fits(), priors).propose(archive, number, np.random.default_rng(0))
            for priors in ([prior], [])
        )
        assert np.array_equal(with_it.genes, without.genes) == equal


def shares(origins: list[str], values: list[float]) -> dict[str, int]:
    """Children of each operator after trials along a line, by their origins."""
    setting = setting_of(PLANE)
    rows = [{"x": n / len(values), "y": 0.5} for n in range(len(values))]
    archive = archive_of(setting, rows, values, origins)
    judge = Judge(observations(archive, archive.values[:, 0]), Fits())
    return _counts(archive, judge)


def test_all_operators_breed_and_those_that_fail_breed_less():
    counts = shares([CROSSOVER] * 12, [-float(n) for n in range(12)])
    assert set(counts) == set(OPERATORS)
    assert sum(counts.values()) == pytest.approx(200, abs=3)
    assert min(counts.values()) >= 0.08 * 120 - 1
    assert counts[CROSSOVER] == min(counts.values())


def test_an_immigrant_that_is_the_best_of_all_is_a_success():
    values = [0.0, 0.1, 0.2, 0.3, 0.4, 5.0]
    best, poor = (["start"] * 5 + [IMMIGRANT], [IMMIGRANT] + ["start"] * 5)
    assert shares(best, values)[IMMIGRANT] > shares(poor, values)[IMMIGRANT]


# the others


def test_the_plain_variant_crosses_and_mutates_the_eight_best():
    setting, archive = bowl()
    plain = Plain(setting)
    best = set(archive.numbers[np.argsort(-archive.values[:, 0])[:8]].tolist())
    found = [plain.propose(archive, 20, np.random.default_rng(s)) for s in range(40)]
    assert {one.origin for one in found} == {"crossover", "mutation"}
    for one in found:
        assert set(one.parents) <= best
        assert len(one.parents) == (2 if one.origin == "crossover" else 1)
        near = archive.genes[np.isin(archive.numbers, one.parents)]
        assert np.abs(near - one.genes).min(axis=0).max() < 0.4


def test_the_plain_variant_begins_at_random():
    setting, archive = bowl()
    assert Plain(setting).propose(archive, 7, np.random.default_rng(0)).origin == "start"


def test_the_multiplied_variant_multiplies_one_of_the_five_best():
    kinds = {"lr": FloatDistribution(1e-3, 1.0, log=True), "zero": FloatDistribution(0.0, 1.0)}
    setting = setting_of(kinds)
    rows = [{"lr": 0.1 + n / 1000, "zero": 0.0} for n in range(8)]
    archive = archive_of(setting, rows, range(8))
    multiplied = Multiplied(setting)
    found = [multiplied.propose(archive, 9, np.random.default_rng(s)) for s in range(60)]
    values = [setting.space.decode(one.genes) for one in found]
    assert {one.parents[0] for one in found} <= {3, 4, 5, 6, 7}
    assert {value["zero"] for value in values} == {0.0}  # a zero stays one
    factors = [v["lr"] / rows[one.parents[0]]["lr"] for one, v in zip(found, values, strict=True)]
    assert 0.3 <= min(factors) < 0.9
    assert 1.1 < max(factors) <= 3.0


def test_the_multiplied_variant_gives_values_to_what_its_parent_had_not():
    kinds = {"kind": CategoricalDistribution(("a", "b")), "x": FloatDistribution(0.0, 1.0)}
    setting = setting_of(kinds, conditions={"x": {"kind": ("b",)}})
    archive = archive_of(setting, [{"kind": "a"}])
    for seed in range(20):
        child = Multiplied(setting).propose(archive, 1, np.random.default_rng(seed))
        assert setting.space.decode(child.genes).keys() == {"kind", "x"}
