"""Random scale of a classifier's images."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="Zoom",
    title="random scale",
    family="classifier",
    sets=(Setting("augment.zoom_min", 0.5, 1.0), Setting("augment.zoom_max", 1.75, 1.0)),
    source="arXiv:2004.10934 sec. 2.2; darknet min_crop=128 max_crop=448 of 256",
    tasks=("classify",),
    in_baseline=True,
)
