"""Dynamic mini-batch size."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="DM",
    title="larger mini-batches at smaller random shapes",
    family="detector freebie",
    sets=(Setting("batch_policy", "dynamic", "fixed"),),
    source="arXiv:2004.10934 sec. 3.4 and table 4; darknet dynamic_minibatch",
    requires=("RS",),
    acts="later",  # a training begins with the largest shape
)
