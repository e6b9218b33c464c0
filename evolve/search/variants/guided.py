"""The variant `evolve`: breed many, train the one that promises most."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution

from evolve.search.archive import SIGMA, Archive, Rows
from evolve.search.breeding import IMMIGRANT, OPERATORS, Brood, Elites, breed, refine
from evolve.search.genome import Branch, Genes, GenomeSpace
from evolve.search.judge import FLOOR, Earlier, Fits, Judge, Observations
from evolve.search.operators.adaptation import gene_scales, operator_shares
from evolve.search.operators.dominance import non_dominated_order
from evolve.search.operators.niche import far_elites
from evolve.search.operators.scaling import learn_scale
from evolve.search.operators.start import keep_mostly, near, sobol_point
from evolve.search.prior import Prior
from evolve.search.variants.variant import START, Proposal, Setting, first_free, some_free

RESTART, WARM = "restart", "warm"

_START = 5  # trials before breeding, the defaults among them
_NEAR_SIGMA = 0.15  # of the cloud around the defaults, as a fraction of the range
_KEEP = 0.7  # chance that a choice in that cloud is the default
_ELITES = 8
_CHILDREN = 120
_IMMIGRANTS = 80  # more, so that no corner of the space is out of sight
TOGETHER = (8, 4)  # trials that are chosen at once where very many are under way
_CROWDS = (384, 128)  # so many, each
_LONG_SHARE, _LONG_ROUNDS = 0.5, 1  # children and their children in a long study of many asks
_LEAST_SHARE = 0.08  # of the children, for every operator
_FIRST_SIGMA = 0.1
_SCALE_POWER = 0.5
_BOLDNESS = 0.8
_CAREFUL = 0.5  # chance that a child is chosen by what it promises, instead of by a draw
_ROUNDS, _FINALISTS, _GRANDCHILDREN, _FINE_SIGMA = 2, 6, 48, 0.06
_EARLIER_EACH = 40  # trials of an earlier study that are kept
_EARLIER = ((20, 80), (40, 40), (60, 20))  # below so many own trials, so many earlier ones count
_WARM_START = 3  # first trials that are the best of earlier studies
_BRANCH_PACE = 20.0  # trials until a value should have one, and one for each parameter it opens
_BRANCH_MOST = 12.0
_BRANCH_RATE = 0.5
_RECENT = 1000  # trials of a kind, the newest, in which a branch is sought before all others
_REST = 20  # trials without a better one, and per parameter one more, until others are sought
_RESTART_RATE = 0.2
_RESTART_RADIUS = 0.2


class Guided:
    """Steady-state genetic algorithm whose children are judged before they are trained.

    The first four trials after the defaults lie around them, or are the best of earlier studies.
    Then at every ask 200 children are bred by six operators from the eight best trials; "best" by
    the surrogate's mean, which is what a trial's neighbours say of it too. Every other time a
    possible truth is drawn from the surrogate, and the child that is best under it is trained.
    In between the six children of the greatest expected improvement breed again, twice, and the
    best of all is trained. In a long study there are half as many children, which breed again
    once; and where 128 trials are under way, four of a brood are chosen at once, of 384 eight.

    How many children an operator breeds follows its success; step sizes are inherited; the length
    scales of the surrogate stretch the steps. When nothing better was found for long, every fifth
    child is bred among the best trials elsewhere. Every value of every unordered choice gets some
    trials, more if other parameters depend on it: as long as some have too few, half of the
    children are bred for the one that lacks most.

    Parameters
    ----------
    priors : sequence of Prior
        Earlier studies, on other data.
    """

    def __init__(self, setting: Setting, fits: Fits, priors: Sequence[Prior] = ()) -> None:
        self._setting = setting
        self._fits = fits
        self._branches = setting.space.branches()
        studies = [study for prior in priors if (study := _study(prior, setting)) is not None]
        self._earlier = [(own, _earlier(studies, setting.space, most)) for own, most in _EARLIER]
        self._favourites = _favourites(studies)

    def propose(self, archive: Archive, number: int, rng: np.random.Generator) -> Proposal:
        """The child of this number."""
        if number < _START or len(archive) < 3:
            return self._begin(archive, number, rng)
        judge, order = self._judged(archive, rng)
        boldness, restarted = _BOLDNESS, False
        if _rests(archive, order) and rng.random() < _RESTART_RATE:
            far = far_elites(archive.genes[judge.rows], judge.means, _ELITES, _RESTART_RADIUS)
            if len(far) > 1:
                order, boldness, restarted = judge.rows[far], 1.0, True
        branch = self._neglected(archive, number) if rng.random() < _BRANCH_RATE else None
        counts = _counts(archive, judge)
        # a value that the constraints forbid, or that is used up, is not waited for
        for here in [None] if branch is None else [branch, None]:
            preferred = order if here is None else _inside_first(archive, order, here)
            elites = _elites(archive, preferred[:_ELITES])
            brood = self._ranked(judge, elites, counts, boldness, here, rng)
            index = first_free(brood.genes, archive, self._setting)
            if index is not None:
                break
        else:
            free = some_free(archive, self._setting, rng)
            return Proposal(free, START, fitted=judge.fitted)
        first = _proposal(brood, index, restarted)
        taken = [index]
        for _ in range(_together(judge, archive, number) - 1):
            other = self._other(judge, brood, taken, archive, boldness, rng)
            if other is None:
                break
            taken.append(other)
        spares = tuple(_proposal(brood, place, restarted) for place in taken[1:])
        return first._replace(fitted=judge.fitted, spares=spares)

    def _other(
        self,
        judge: Judge,
        brood: Brood,
        taken: Sequence[int],
        archive: Archive,
        boldness: float,
        rng: np.random.Generator,
    ) -> int | None:
        """One more child of the brood, the best under a draw of its own; None if none is free.

        Among hundreds of trials under way, what one more tells the next few is next to nothing.
        """
        scores = judge.draw(self._setting.space.complete(brood.genes), boldness, rng)
        order = np.argsort(-scores, kind="stable")
        left = order[~np.isin(order, taken)]
        free = first_free(brood.genes[left], archive, self._setting)
        return None if free is None else int(left[free])

    def _judged(self, archive: Archive, rng: np.random.Generator) -> tuple[Judge, np.ndarray]:
        """What is known, and the trials from best to worst."""
        # what misled at first must not mislead for long
        earlier = next((found for own, found in self._earlier if len(archive) < own), None)
        seen = observations(archive, archive.fitness(rng))._replace(earlier=earlier)
        judge = Judge(seen, self._fits, rng)
        if archive.values.shape[1] > 1:
            return judge, non_dominated_order(archive.values)
        return judge, judge.rows[np.argsort(-judge.means, kind="stable")]

    def _ranked(
        self,
        judge: Judge,
        elites: Elites,
        counts: dict[str, int],
        boldness: float,
        branch: Branch | None,
        rng: np.random.Generator,
    ) -> Brood:
        """Children, the one to train first; all of a branch if one is given."""
        space = self._setting.space
        scales = gene_scales(1.0 / judge.hyper.weights[: len(space)], _SCALE_POWER)
        elites = replace(elites, genes=_filled(space, elites.genes, rng))
        brood = breed(space, elites, counts, scales, rng)
        if branch is not None:
            brood = replace(brood, genes=space.forced(brood.genes, branch))
        if branch is not None or rng.random() >= _CAREFUL:
            scores = judge.draw(space.complete(brood.genes), boldness, rng)
            return brood[np.argsort(-scores, kind="stable")]
        scores = judge.promise(space.complete(brood.genes))
        for turn in range(_LONG_ROUNDS if judge.is_long else _ROUNDS):
            finalists = np.argsort(-scores, kind="stable")[:_FINALISTS]
            best, sigma = brood[finalists], _FINE_SIGMA / (1 + turn)
            young = refine(space, best, _so_many(_GRANDCHILDREN, judge), sigma, scales, rng)
            brood = best + young
            promised = judge.promise(space.complete(young.genes))
            scores = np.concatenate([scores[finalists], promised])
        return brood[np.argsort(-scores, kind="stable")]

    def _neglected(self, archive: Archive, number: int) -> Branch | None:
        """The branch that was tried least for what it opens, if it was tried too little.

        The surrogate takes for flat what it has not seen vary, and so would give a choice up
        after one trial, without ever having tuned what only that choice opens.
        """
        if not self._branches:
            return None
        wanted = min(number / _BRANCH_PACE, _BRANCH_MOST)
        groups: tuple[Genes | Rows, ...] = (archive.genes, archive.failed, archive.running)
        lacks = self._lacks(np.concatenate([group[-_RECENT:] for group in groups]), wanted)
        if max(lacks) > 0 and max(map(len, groups)) > _RECENT:
            lacks = self._lacks(np.concatenate(groups), wanted)
        worst = int(np.argmax(lacks))
        return self._branches[worst] if lacks[worst] > 0 else None

    def _lacks(self, tried: Genes, wanted: float) -> list[float]:
        """How many trials each branch lacks, for one parameter of those it opens."""
        there = self._setting.space.active(tried)
        counts = [
            np.count_nonzero(branch.holds(tried) & there[:, branch.column])
            for branch in self._branches
        ]
        return [
            wanted - count / (1 + branch.opens)
            for count, branch in zip(counts, self._branches, strict=True)
        ]

    def _begin(self, archive: Archive, number: int, rng: np.random.Generator) -> Proposal:
        """One of the first trials: of an earlier study, or around the defaults."""
        if number <= min(_WARM_START, len(self._favourites)):
            favourite = self._favourites[number - 1]
            if first_free(favourite[None], archive, self._setting) is not None:
                return Proposal(favourite, WARM)
        return Proposal(self._start(archive, number, rng), START)

    def _start(self, archive: Archive, number: int, rng: np.random.Generator) -> Genes:
        """A point of the design, drawn towards the defaults until it keeps the constraints."""
        setting = self._setting
        genes = sobol_point(number - 1, len(setting.space), setting.seed)
        numbers = near(genes, setting.default, _NEAR_SIGMA)
        choices = keep_mostly(genes, setting.default, _KEEP)
        genes = np.where(setting.space.nominal, choices, numbers)
        shares = 0.5 ** np.arange(8)[:, None]
        drawn = setting.space.snap(setting.default + shares * (genes - setting.default))
        index = first_free(drawn, archive, setting)
        return some_free(archive, setting, rng) if index is None else drawn[index]


def _together(judge: Judge, archive: Archive, number: int) -> int:
    """How many trials are chosen at once with this one."""
    if not judge.is_long:
        return 1
    crowds = zip(TOGETHER, _CROWDS, strict=True)
    fitting = (n for n, least in crowds if not number % n and len(archive.running) >= least)
    return next(fitting, 1)


def _proposal(brood: Brood, place: int, restarted: bool) -> Proposal:
    child = brood[[place]]
    origin = RESTART if restarted else child.origins[0]
    return Proposal(child.genes[0], origin, child.parents[0], float(child.sigmas[0]))


def observations(archive: Archive, fitness: Genes) -> Observations:
    """An archive as the surrogate sees it."""
    return Observations(
        archive.genes,
        fitness,
        archive.errors,
        archive.failed,
        archive.running,
        archive.space.nominal,
        fitted=archive.fitted,
    )


def _inside_first(archive: Archive, order: np.ndarray, branch: Branch) -> np.ndarray:
    """Trials of a branch from best to worst, then the others."""
    inside = branch.holds(archive.genes[order])
    return np.concatenate([order[inside], order[~inside]])


def _filled(space: GenomeSpace, genes: Genes, rng: np.random.Generator) -> Genes:
    """Genes with any value where a parameter does not exist, in case it does in a child."""
    return space.snap(np.where(space.active(genes), genes, rng.random(genes.shape)))


def _study(prior: Prior, setting: Setting) -> tuple[Genes, Genes] | None:
    """Genes and scaled values of an earlier study's trials, the best first.

    What it did not search is taken to have been at the present defaults. Half of the trials that
    count are the best, the others are spread over the rest. None if it has fewer than three.
    """
    if len(prior.values) < 3:
        return None
    space, values = setting.space, np.array(prior.values, dtype=np.float64)
    ordered = np.argsort(-values, kind="stable").tolist()
    best, rest = ordered[: _EARLIER_EACH // 2], ordered[_EARLIER_EACH // 2 :]
    spread = np.linspace(0, len(rest) - 1, min(len(rest), _EARLIER_EACH // 2)).astype(int)
    rows = best + [rest[index] for index in spread]
    genes = np.array([space.encode(_inside(prior.params[row], space)) for row in rows])
    genes = space.snap(np.where(np.isnan(genes), setting.default, genes))
    return genes, learn_scale(values, FLOOR)(values[rows])


def _inside(params: Mapping[str, Any], space: GenomeSpace) -> dict[str, Any]:
    """Parameters that the space has, within their ranges."""
    return {
        name: value
        for name, value in params.items()
        if name in space.distributions and _holds(space.distributions[name], value)
    }


def _holds(kind: BaseDistribution, value: Any) -> bool:
    try:
        return kind._contains(kind.to_internal_repr(value))
    except ValueError:  # of another type, or no choice
        return False


def _earlier(
    studies: Sequence[tuple[Genes, Genes]], space: GenomeSpace, most: int
) -> Earlier | None:
    """What the surrogate learns from earlier studies: an equal part from each."""
    if not studies:
        return None
    each = max(3, most // len(studies))
    kept = [_thinned(study, each) for study in studies]
    return Earlier(
        space.complete(np.concatenate([genes for genes, _ in kept])),
        np.concatenate([values for _, values in kept]),
        np.repeat(np.arange(1.0, len(kept) + 1), [len(values) for _, values in kept]),
    )


def _thinned(study: tuple[Genes, Genes], count: int) -> tuple[Genes, Genes]:
    genes, values = study
    rows = np.unique(np.linspace(0, len(values) - 1, min(count, len(values))).astype(int))
    return genes[rows], values[rows]


def _favourites(studies: Sequence[tuple[Genes, Genes]]) -> list[Genes]:
    """The best of each earlier study, then the second best of each, ..."""
    places = range(_WARM_START)
    return [genes[place] for place in places for genes, _ in studies if place < len(genes)]


def _elites(archive: Archive, order: np.ndarray) -> Elites:
    trials = archive.trials[order]
    return Elites(
        np.array([trial.number for trial in trials]),
        archive.genes[order],
        np.array([trial.user_attrs.get(SIGMA, _FIRST_SIGMA) for trial in trials]),
    )


def _counts(archive: Archive, judge: Judge) -> dict[str, int]:
    """How many children each operator breeds."""
    judged = judge.means.tolist()
    means = dict(zip(archive.numbers[judge.rows].tolist(), judged, strict=True))
    uses, successes = dict.fromkeys(OPERATORS, 0), dict.fromkeys(OPERATORS, 0)
    top = sorted(judged)[-2:]
    for (origin, numbers), mean in zip(archive.lineages[judge.rows], judged, strict=True):
        if origin in uses:
            parents = [means[number] for number in numbers if number in means]
            # without parents, it must exceed all others
            mark = max(parents) if parents else top[0 if mean == top[-1] else -1]
            uses[origin] += 1
            successes[origin] += mean > mark
    shares = operator_shares(uses, successes, OPERATORS, _LEAST_SHARE)
    children = np.round(_so_many(_CHILDREN, judge) * shares).astype(int).tolist()
    counts = dict(zip(OPERATORS, children, strict=True))
    return counts | {IMMIGRANT: counts[IMMIGRANT] + _so_many(_IMMIGRANTS, judge)}


def _so_many(children: int, judge: Judge) -> int:
    """Children to breed: in a long study a part of them has to do."""
    return round(_LONG_SHARE * children) if judge.is_long else children


def _rests(archive: Archive, order: np.ndarray) -> bool:
    """Whether the best trial has been the best for long."""
    if archive.values.shape[1] > 1:
        return False
    newer = np.count_nonzero(archive.numbers > archive.numbers[order[0]])
    return bool(newer > _REST + len(archive.space))
