"""Receptive field block before each prediction."""

from model.ingredient import InferenceCost, Ingredient, Setting

INGREDIENT = Ingredient(
    key="RFB",
    title="receptive field block",
    family="special",
    sets=(Setting("head.rfb", "rfb", "none"),),
    source="arXiv:1711.07767; arXiv:2004.10934 table 5",
    cost=InferenceCost(parameters=6_627_264, bflops=5.116919808),
)
