"""Adaptively spatial feature fusion before the head."""

from model.ingredient import InferenceCost, Ingredient, Setting

INGREDIENT = Ingredient(
    key="ASFF",
    title="adaptive fusion of the scales",
    family="special",
    sets=(Setting("neck.asff", True, False),),
    source="arXiv:1911.09516 sec. 3; arXiv:2004.10934 table 5",
    cost=InferenceCost(parameters=2_708_185, bflops=2.949896352),
)
