"""Swish in the backbone."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="Swish",
    title="Swish in the backbone",
    family="special",
    sets=(Setting("backbone.activation", "swish", "leaky"),),
    source="arXiv:1710.05941; arXiv:2004.10934 table 2",
    tasks=("detect", "classify"),
)
