"""The variant `evolve`: breed many, train the one that promises most."""

import numpy as np
from optuna.trial import FrozenTrial

from evolve.search.archive import ORIGIN, PARENTS, SIGMA, Archive
from evolve.search.breeding import OPERATORS, Elites, breed
from evolve.search.genome import Genes
from evolve.search.judge import Fits, Judge, Observations
from evolve.search.operators.adaptation import gene_scales, operator_shares
from evolve.search.operators.dominance import non_dominated_order
from evolve.search.operators.niche import far_elites
from evolve.search.operators.start import keep_mostly, near, sobol_point
from evolve.search.variants.variant import START, Proposal, Setting, first_free, some_free

RESTART = "restart"

_START = 8  # trials before breeding, the defaults among them
_NEAR_SIGMA = 0.15  # of the cloud around the defaults, as a fraction of the range
_KEEP = 0.7  # chance that a choice in that cloud is the default
_ELITES = 8
_CHILDREN = 150
_LEAST_SHARE = 0.08  # of the children, for every operator
_FIRST_SIGMA = 0.1
_SCALE_POWER = 0.5
_BOLDNESS = 0.8
_REST = 20  # trials without a better one, and per parameter one more, until others are sought
_RESTART_RATE = 0.2
_RESTART_RADIUS = 0.2


class Guided:
    """Steady-state genetic algorithm whose children are judged before they are trained.

    At every ask 150 children are bred by six operators from the eight best trials; "best" by the
    surrogate's mean, which is what a trial's neighbours say of it too. A possible truth is drawn
    from the surrogate, and the child that is best under it is trained. How many children an
    operator breeds follows its success; step sizes are inherited; the length scales of the
    surrogate stretch the steps. When nothing better was found for long, every fifth child is
    bred among the best trials elsewhere.
    """

    def __init__(self, setting: Setting, fits: Fits) -> None:
        self._setting = setting
        self._fits = fits

    def propose(self, archive: Archive, number: int, rng: np.random.Generator) -> Proposal:
        """The child of this number."""
        if number < _START or len(archive) < 3:
            return Proposal(self._start(archive, number, rng), START)
        judge, order = self._judged(archive, rng)
        boldness, restarted = _BOLDNESS, False
        if _rests(archive, order) and rng.random() < _RESTART_RATE:
            far = far_elites(archive.genes[judge.rows], judge.means, _ELITES, _RESTART_RADIUS)
            if len(far) > 1:
                order, boldness, restarted = judge.rows[far], 1.0, True
        elites = _elites(archive, order[:_ELITES])
        scales = gene_scales(1.0 / judge.hyper.weights, _SCALE_POWER)
        counts = _counts(archive, judge)
        brood = breed(self._setting.space, elites, counts, scales, rng)
        complete = self._setting.space.complete(brood.genes)
        scores = judge.draw(complete, boldness, rng)
        brood = brood[np.argsort(-scores, kind="stable")]
        index = first_free(brood.genes, archive, self._setting)
        if index is None:
            return Proposal(some_free(archive, self._setting, rng), START)
        origin = RESTART if restarted else brood.origins[index]
        return Proposal(
            brood.genes[index], origin, brood.parents[index], float(brood.sigmas[index])
        )

    def _judged(self, archive: Archive, rng: np.random.Generator) -> tuple[Judge, np.ndarray]:
        """What is known, and the trials from best to worst."""
        judge = Judge(observations(archive, archive.fitness(rng)), self._fits, rng)
        if archive.values.shape[1] > 1:
            return judge, non_dominated_order(archive.values)
        return judge, judge.rows[np.argsort(-judge.means, kind="stable")]

    def _start(self, archive: Archive, number: int, rng: np.random.Generator) -> Genes:
        """A point of the design, drawn towards the defaults until it keeps the constraints."""
        setting = self._setting
        genes = sobol_point(number - 1, len(setting.space), setting.seed)
        if number % 2:
            numbers = near(genes, setting.default, _NEAR_SIGMA)
            choices = keep_mostly(genes, setting.default, _KEEP)
            genes = np.where(setting.space.nominal, choices, numbers)
        shares = 0.5 ** np.arange(8)[:, None]
        drawn = setting.space.snap(setting.default + shares * (genes - setting.default))
        index = first_free(drawn, archive, setting)
        return some_free(archive, setting, rng) if index is None else drawn[index]


def observations(archive: Archive, fitness: Genes) -> Observations:
    """An archive as the surrogate sees it."""
    return Observations(
        archive.genes,
        fitness,
        archive.errors,
        archive.failed,
        archive.running,
        archive.space.nominal,
    )


def _elites(archive: Archive, order: np.ndarray) -> Elites:
    trials = [archive.trials[index] for index in order]
    return Elites(
        np.array([trial.number for trial in trials]),
        archive.genes[order],
        np.array([trial.user_attrs.get(SIGMA, _FIRST_SIGMA) for trial in trials]),
    )


def _counts(archive: Archive, judge: Judge) -> dict[str, int]:
    """How many children each operator breeds."""
    means = dict(zip(archive.numbers[judge.rows].tolist(), judge.means.tolist(), strict=True))
    uses, successes = dict.fromkeys(OPERATORS, 0), dict.fromkeys(OPERATORS, 0)
    for index in judge.rows:
        trial = archive.trials[index]
        origin = trial.user_attrs.get(ORIGIN)
        if origin in uses:
            uses[origin] += 1
            successes[origin] += means[trial.number] > _mark(trial, means)
    shares = operator_shares(uses, successes, OPERATORS, _LEAST_SHARE)
    return dict(zip(OPERATORS, np.round(_CHILDREN * shares).astype(int).tolist(), strict=True))


def _mark(trial: FrozenTrial, means: dict[int, float]) -> float:
    """What a child must exceed: its best parent; without parents, all others."""
    parents = [means[number] for number in trial.user_attrs.get(PARENTS, ()) if number in means]
    return max(parents or [mean for number, mean in means.items() if number != trial.number])


def _rests(archive: Archive, order: np.ndarray) -> bool:
    """Whether the best trial has been the best for long."""
    if archive.values.shape[1] > 1:
        return False
    newer = np.count_nonzero(archive.numbers > archive.numbers[order[0]])
    return bool(newer > _REST + len(archive.space))
