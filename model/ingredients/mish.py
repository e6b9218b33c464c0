"""Mish in the backbone, as in YOLOv4."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="Mish",
    title="Mish in the backbone",
    family="special",
    sets=(Setting("backbone.activation", "mish", "leaky"),),
    source="arXiv:1908.08681; arXiv:2004.10934 tables 2, 3 and 6",
    tasks=("detect", "classify"),
)
