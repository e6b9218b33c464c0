"""Squeeze and excitation: a weight for every channel."""

from model.ingredient import InferenceCost, Ingredient, Setting

INGREDIENT = Ingredient(
    key="SE",
    title="squeeze and excitation",
    family="special",
    sets=(Setting("neck.attention", "se", "none"),),
    source="arXiv:1709.01507; arXiv:2004.10934 sec. 2.3",
    cost=InferenceCost(parameters=173_936, bflops=0.000344064),
)
