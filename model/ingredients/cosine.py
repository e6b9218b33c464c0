"""Cosine annealing of the learning rate."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="CA",
    title="cosine annealing of the learning rate",
    family="detector freebie",
    sets=(Setting("schedule.kind", "cosine", "steps"), Setting("schedule.cycle", 1.0, 1.0)),
    source="arXiv:1608.03983 eq. 5; arXiv:2004.10934 table 4; darknet policy=sgdr",
    acts="later",
)
