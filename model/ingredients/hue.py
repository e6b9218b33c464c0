"""Shift of the hue."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="Hue",
    title="shift of the hue",
    family="augmentation",
    sets=(Setting("augment.hue", 0.1, 0.0),),
    source="arXiv:2004.10934 sec. 2.2; darknet hue=.1",
    tasks=("detect", "classify"),
    in_baseline=True,
)
