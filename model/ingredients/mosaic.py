"""Mosaic: four pictures in one image."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="M",
    title="mosaic of four pictures",
    family="augmentation",
    sets=(Setting("augment.mosaic", 0.5, 0.0), Setting("augment.mosaic_images", 4, 4)),
    source="arXiv:2004.10934 sec. 3.3; darknet src/data.c",
    tasks=("detect", "classify"),
)
