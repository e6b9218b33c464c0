"""Smooth-L1 box loss."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="SmoothL1",
    title="smooth-L1 box loss",
    family="loss",
    sets=(Setting("loss.box", "smooth-l1", "mse"),),
    source="arXiv:1504.08083 eq. 3",
)
