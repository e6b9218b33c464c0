"""Seeds of trials, spawned from the seed of their run."""

import numpy as np

_FRESH = 1  # a stream beside the one of the trials, whose keys have one number


def trial_seed(run_seed: int, number: int) -> int:
    """Seed of a trial's training: independent of other trials, the same in any process."""
    sequence = np.random.SeedSequence(run_seed, spawn_key=(number,))
    return int(sequence.generate_state(1, np.uint32)[0])


def fresh_seed(run_seed: int, index: int) -> int:
    """Seed of a comparison's trainings: none that a trial has, as those are below 2**32."""
    sequence = np.random.SeedSequence(run_seed, spawn_key=(_FRESH, index))
    return 2**32 + int(sequence.generate_state(1, np.uint32)[0])
