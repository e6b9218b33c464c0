"""Dropout of single cells."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="DropOut",
    title="dropout of single cells",
    family="regularisation",
    sets=(Setting("drop.kind", "dropout", "none"),),
    source="JMLR 15 (2014) 1929; arXiv:2004.10934 sec. 2.2",
    tasks=("detect", "classify"),
)
