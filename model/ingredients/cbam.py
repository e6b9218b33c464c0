"""Spatial attention as CBAM has it: one weight for every place of a map."""

from model.ingredient import InferenceCost, Ingredient, Setting

INGREDIENT = Ingredient(
    key="CBAM",
    title="spatial attention, place by place (the original SAM)",
    family="special",
    sets=(Setting("neck.attention", "cbam", "none"),),
    source="arXiv:1807.06521 sec. 3; arXiv:2004.10934 sec. 2.3",
    cost=InferenceCost(parameters=294, bflops=0.000695604),
)
