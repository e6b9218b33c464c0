"""Zoom of the picture, out and in."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="Resize",
    title="zoom out and in, up to a factor of 1.5",
    family="augmentation",
    sets=(Setting("augment.resize", 1.5, 1.0),),
    source="arXiv:2004.10934 sec. 2.2; darknet resize=1.5 of yolov4-csp.cfg",
)
