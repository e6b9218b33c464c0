"""Path aggregation joined by concatenation, YOLOv4's own; without it there is a plain pyramid."""

from model.ingredient import InferenceCost, Ingredient, Setting

INGREDIENT = Ingredient(
    key="PAN",
    title="path aggregation by concatenation",
    family="special",
    sets=(Setting("neck.fusion", "auto", "fpn"),),
    source="arXiv:1803.01534; arXiv:2004.10934 sec. 3.3, fig. 6; FPN arXiv:1612.03144",
    in_baseline=True,
    cost=InferenceCost(parameters=15_249_408, bflops=8.240234496),
)
