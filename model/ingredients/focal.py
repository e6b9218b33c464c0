"""Focal class loss."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="Focal",
    title="focal class loss",
    family="imbalance",
    sets=(Setting("loss.focal", True, False),),
    source="arXiv:1708.02002 sec. 3; darknet focal_loss",
)
