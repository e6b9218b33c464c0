"""Seeds of trials, spawned from the seed of their run."""

import numpy as np


def trial_seed(run_seed: int, number: int) -> int:
    """Seed of a trial's training: independent of other trials, the same in any process."""
    sequence = np.random.SeedSequence(run_seed, spawn_key=(number,))
    return int(sequence.generate_state(1, np.uint32)[0])
