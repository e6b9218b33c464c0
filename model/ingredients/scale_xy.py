"""Eliminate grid sensitivity: box centres can reach the border of their cell."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="S",
    title="scaled sigmoid of box centres",
    family="detector freebie",
    sets=(Setting("scale_xy", True, False),),
    source="arXiv:2004.10934 sec. 3.4 and table 4; darknet scale_x_y",
)
