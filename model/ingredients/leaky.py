"""Leaky ReLU in the backbone, which the paper's baseline has."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="Leaky",
    title="leaky ReLU in the backbone, slope 0.1",
    family="special",
    sets=(Setting("backbone.activation", "leaky", "leaky"),),
    source="arXiv:2004.10934 table 2; darknet activation=leaky",
    tasks=("detect", "classify"),
    in_baseline=True,
)
