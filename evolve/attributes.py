"""Attributes of stored trials that more than one part of the program reads."""

RECIPE = "evolve:recipe"
"""Parameters over time, of a trial that took over another's training; its own are its first."""

ORIGIN = "evolve:origin"
"""How the sampler came to a trial: default, random, crossover, ..."""

PARENTS = "evolve:parents"
"""Numbers of the trials that one was bred from."""
