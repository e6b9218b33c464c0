"""Attributes of stored trials that more than one part of the program reads."""

RECIPE = "evolve:recipe"
"""Parameters over time, of a trial that took over another's training; its own are its first."""
