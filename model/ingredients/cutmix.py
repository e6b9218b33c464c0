"""CutMix: a rectangle of another image, and its share of the label."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="CutMix",
    title="rectangle of another image",
    family="classifier",
    sets=(Setting("augment.cutmix", 0.5, 0.0),),
    source="arXiv:1905.04899; arXiv:2004.10934 table 2; darknet cutmix=1",
    tasks=("classify",),
)
