"""Squared errors of the coordinates, the box loss of the paper's baseline."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="MSE",
    title="squared errors of the coordinates",
    family="loss",
    sets=(Setting("loss.box", "mse", "mse"),),
    source="arXiv:1804.02767 sec. 2.1; arXiv:2004.10934 table 4; darknet iou_loss=mse",
    in_baseline=True,
)
