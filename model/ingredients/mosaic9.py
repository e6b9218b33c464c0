"""Mosaic of nine: a later option of darknet's successors."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="Mosaic9",
    title="mosaic of nine pictures",
    family="augmentation",
    sets=(Setting("augment.mosaic", 0.5, 0.0), Setting("augment.mosaic_images", 9, 4)),
    source="arXiv:2004.10934 sec. 3.3, with a grid of three by three",
)
