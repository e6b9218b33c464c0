"""MixUp: two images blended, half each."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="MixUp",
    title="blend of two images",
    family="augmentation",
    sets=(Setting("augment.mixup", 0.5, 0.0),),
    source="arXiv:1710.09412; arXiv:2004.10934 table 2; darknet mixup=1",
    tasks=("detect", "classify"),
)
