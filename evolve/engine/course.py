"""How far trials come under a scheduler: what a plan must know of early stopping."""

import math
from dataclasses import dataclass

REDUCTION = 3  # the best third goes on
CONTROLS = 2  # trials that are promoted by lot, to tell what the early order is worth


@dataclass(frozen=True)
class Course:
    """What a scheduler makes of trials.

    Attributes
    ----------
    epochs : float
        That a trial is expected to run on average; all of them where that cannot be told.
    stops : str
        Where trials may be stopped, in words; empty if they are not.
    is_sure : bool
        Whether all trials together run so many epochs whatever comes of them.
    """

    epochs: float
    stops: str = ""
    is_sure: bool = False


def rungs(epochs: int) -> tuple[int, int]:
    """Epochs of ASHA's first rung, and after which there is none.

    The first comes after a tenth of the training (the part that arXiv:2004.10934 sec. 4.1 searched
    with), but not before epoch 6, or three tenths of a training too short for that: until then
    the AP of a detector says little. In the last third stopping saves too little.
    """
    first = max(round(0.1 * epochs), min(6, max(1, round(0.3 * epochs))))
    return first, max(first, round(0.67 * epochs))


def promotion_rung(epochs: int, fidelity: float) -> int:
    """Epoch after which the best of all trials are promoted."""
    return max(1, round(fidelity * epochs))


def course_of(
    scheduler: str, trials: int, epochs: int, *, fidelity: float = 0.1, promote: int = 5
) -> Course:
    """How far so many trials come under a scheduler of `evolve.engine.schedulers`."""
    first, last = rungs(epochs)
    if scheduler == "asha":
        steps = _steps(first, last, epochs)
        rung = "a rung" if len(steps) == 1 else "rungs"
        return Course(expected_epochs(trials, epochs, (first, last)), f"{rung} at {_told(steps)}")
    if scheduler == "promote":
        return _promotion(trials, epochs, promotion_rung(epochs, fidelity), promote)
    if scheduler == "hyperband":
        return _hyperband(trials, epochs)
    stops = f"the worse half may stop from epoch {first} on" if scheduler == "median" else ""
    return Course(float(epochs), stops)


def _steps(first: int, last: int, epochs: int) -> list[int]:
    steps, rung = [], first
    while rung <= last and rung < epochs:
        steps.append(rung)
        rung *= REDUCTION
    return steps


def _told(steps: list[int]) -> str:
    """Epochs as 'epoch 6' or 'epochs 6, 18'."""
    return f"epoch{'s' if len(steps) > 1 else ''} {', '.join(map(str, steps))}"


def _promotion(trials: int, epochs: int, rung: int, promote: int) -> Course:
    whole = min(trials, promote + 1 + CONTROLS)  # with the defaults, and those drawn by lot
    mean = (trials * rung + whole * (epochs - rung)) / max(1, trials)
    return Course(mean, f"all to epoch {rung}, {whole} of them to the end", is_sure=True)


def _hyperband(trials: int, epochs: int) -> Course:
    """Brackets as Ray Tune fills them, each with its share; the last may stay unfilled."""
    most = round(math.log(epochs) / math.log(REDUCTION)) + 1
    left, total, begins = trials, 0.0, []
    while left > 0:
        for bracket in range(most):
            size = math.ceil(most / (bracket + 1) * REDUCTION**bracket)
            start = int(epochs * REDUCTION**-bracket)
            if left <= 0 or start == 0:
                break
            here = min(left, size)
            left -= here
            total += _halved(here, start, epochs)
            begins.append(start)
    steps = sorted(set(begins) - {epochs})
    return Course(total / max(1, trials), f"brackets from {_told(steps)}" if steps else "")


def _halved(trials: int, start: int, epochs: int) -> float:
    """Epochs of a bracket: at the end of each round the best third goes on."""
    total, at, reached = 0.0, 0, start
    while at < epochs:
        total += trials * (reached - at)
        trials = math.ceil(trials / REDUCTION)
        at, reached = reached, min(epochs, reached * REDUCTION)
    return total


def expected_epochs(
    trials: int,
    epochs: int,
    rungs: tuple[int, int],
    *,
    factor: int = 3,
    spared: int = 3,
) -> float:
    """Epochs that a trial runs on average under ASHA.

    Rungs lie at first, first * factor, ... up to last. A trial that comes to one after m others
    goes on if it beats their quantile 1 - 1/factor, interpolated linearly: the value at place
    p = (m - 1) (1 - 1/factor) of their order, counted from 0. If all orders are equally likely
    its chance is

        (m - p) / (m + 1),

    which is 1/2 for m = 1 and tends to 1/factor. The first `spared` trials always go on; at the
    k-th rung after the first, weak = spared (1 - factor^-k) of them would not have come so far,
    and all others beat them: the chance is (m - p) / (m + 1 - weak).

    So of n that come to a rung, spared + the sum of these chances over m = spared ... n - 1 come
    to the next, and what they run between the two is added up. It holds for trials that are as
    good as those before them. Later trials of a search are better, and stopped less often;
    `Plan.search_most_s` bounds what they take.
    """
    if trials == 0:
        return float(epochs)
    first, last = rungs
    at, rung, arrived, total, weak = 0, first, float(trials), 0.0, 0.0
    while rung <= last and rung < epochs:
        total += arrived * (rung - at)
        arrived = _going_on(arrived, factor, spared, weak)
        at, rung, weak = rung, rung * factor, spared - (spared - weak) / factor
    return (total + arrived * (epochs - at)) / trials


def _going_on(arrived: float, factor: int, spared: int, weak: float) -> float:
    """Expected number that goes on of those that come to a rung."""
    if arrived <= spared:
        return arrived
    chances = []
    for m in range(spared, int(arrived) + 1):
        place = (m - 1) * (1 - 1 / factor)
        chances.append(min(1.0, (m - place) / (m + 1 - weak)))
    return spared + sum(chances[:-1]) + (arrived - int(arrived)) * chances[-1]
