"""Dropout of whole channels."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="SpatialDropOut",
    title="dropout of whole channels",
    family="regularisation",
    sets=(Setting("drop.kind", "spatial", "none"),),
    source="arXiv:1411.4280 sec. 3.2; arXiv:2004.10934 sec. 3.1",
    tasks=("detect", "classify"),
)
