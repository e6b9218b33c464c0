"""Warm restarts of the cosine, each cycle twice as long as the one before: three in a training."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="SGDR",
    title="cosine annealing with three cycles",
    family="detector freebie",
    sets=(
        Setting("schedule.kind", "cosine", "steps"),
        Setting("schedule.cycle", 1 / 7, 1.0),  # 1 + 2 + 4 sevenths
        Setting("schedule.cycle_factor", 2.0, 2.0),
    ),
    source="arXiv:1608.03983 sec. 3; darknet sgdr_cycle, sgdr_mult",
    acts="later",
)
