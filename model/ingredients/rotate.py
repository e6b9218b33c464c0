"""Rotation of the picture, boxes and all."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="Rotate",
    title="rotation by up to 7 degrees",
    family="augmentation",
    sets=(Setting("augment.rotate", 7.0, 0.0),),
    source="arXiv:2004.10934 sec. 2.2; darknet angle=7 of its classifiers",
)
