"""Gaussian boxes: every coordinate has a variance, which lowers the score."""

from model.ingredient import InferenceCost, Ingredient, Setting

INGREDIENT = Ingredient(
    key="G",
    title="Gaussian box coordinates",
    family="special",
    sets=(Setting("head.box", "gaussian", "point"),),
    source="arXiv:1904.04620; arXiv:2004.10934 table 5; darknet [Gaussian_yolo]",
    cost=InferenceCost(parameters=21_540, bflops=0.029073408),
)
