"""Where the time of workers went: what they did while trainings held them, and idle time."""

import math

import pandas as pd

from evolve.analysis.ledger import Ledger

KINDS = ("train", "evaluate", "start", "held", "lost", "idle")


def worker_time(ledger: Ledger, train_s: float, evaluate_s: float) -> pd.DataFrame:
    """Seconds of workers by what they were spent on.

    Parameters
    ----------
    ledger : Ledger
    train_s, evaluate_s : float
        Of all epochs that its trainings finished. If both are more than the workers were held for
        (whoever measured them had another clock), they are cut in proportion.

    Returns
    -------
    DataFrame
        kind (train, evaluate; start: of processes, of data and networks, and the writing of
        checkpoints; held: all three, where no epoch tells its time; lost: after the last whole
        epoch of what failed or was killed; idle: no training held the worker), seconds. Idle is
        NaN where the workers are unknown.
    """
    lost_s = min(ledger.lost_s, ledger.held_s)
    kept_s, epochs_s = ledger.held_s - lost_s, train_s + evaluate_s
    share = min(1.0, kept_s / epochs_s) if epochs_s else 0.0
    rest_s = kept_s - share * epochs_s
    idle_s = math.nan
    if ledger.devices is not None:
        idle_s = max(0.0, ledger.wall_s * ledger.devices.workers - ledger.held_s)
    known = (share * train_s, share * evaluate_s, rest_s, 0.0) if epochs_s else (0, 0, 0, rest_s)
    return pd.DataFrame({"kind": list(KINDS), "seconds": [*known, lost_s, idle_s]})
