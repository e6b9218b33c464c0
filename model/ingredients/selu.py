"""SELU in the backbone."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="SELU",
    title="scaled exponential units in the backbone",
    family="special",
    sets=(Setting("backbone.activation", "selu", "leaky"),),
    source="arXiv:1706.02515; arXiv:2004.10934 sec. 2.3",
    tasks=("detect", "classify"),
)
