"""Random crop and stretch."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="Crop",
    title="random crop and stretch",
    family="augmentation",
    sets=(Setting("augment.jitter", 0.2, 0.0),),
    source="arXiv:2004.10934 sec. 2.2; darknet jitter=.2",
    in_baseline=True,
)
