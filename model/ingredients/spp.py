"""Spatial pyramid pooling on the coarsest map, as the model has it."""

from model.ingredient import InferenceCost, Ingredient, Setting

INGREDIENT = Ingredient(
    key="SPP",
    title="spatial pyramid pooling",
    family="special",
    sets=(Setting("neck.pooling", "auto", "none"),),
    source="arXiv:1406.4729; arXiv:2004.10934 sec. 3.4",
    in_baseline=True,
    cost=InferenceCost(parameters=786_432, bflops=0.289609216),
)
