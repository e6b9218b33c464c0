"""Path aggregation as its own paper has it, joined by addition."""

from model.ingredient import InferenceCost, Ingredient, Setting

INGREDIENT = Ingredient(
    key="PAN-add",
    title="path aggregation by addition",
    family="special",
    sets=(Setting("neck.fusion", "pan-add", "auto"),),
    source="arXiv:1803.01534 sec. 3.1",
    cost=InferenceCost(parameters=-409_600, bflops=-0.353639936),
)
