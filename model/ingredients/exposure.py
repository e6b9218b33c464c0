"""Factor of the brightness, in HSV."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="Exposure",
    title="factor of the exposure",
    family="augmentation",
    sets=(Setting("augment.exposure", 1.5, 1.0),),
    source="arXiv:2004.10934 sec. 2.2; darknet exposure=1.5",
    tasks=("detect", "classify"),
    in_baseline=True,
)
