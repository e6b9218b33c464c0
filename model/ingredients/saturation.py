"""Factor of the saturation."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="Saturation",
    title="factor of the saturation",
    family="augmentation",
    sets=(Setting("augment.saturation", 1.5, 1.0),),
    source="arXiv:2004.10934 sec. 2.2; darknet saturation=1.5",
    tasks=("detect", "classify"),
    in_baseline=True,
)
