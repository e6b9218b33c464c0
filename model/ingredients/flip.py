"""Left-right flip."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="Flip",
    title="left-right flip of half of the pictures",
    family="augmentation",
    sets=(Setting("augment.flip", 0.5, 0.0),),
    source="arXiv:2004.10934 sec. 2.2; darknet flip=1",
    tasks=("detect", "classify"),
    in_baseline=True,
)
