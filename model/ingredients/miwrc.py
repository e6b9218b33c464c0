"""Multi-input weighted residual connections."""

from model.ingredient import InferenceCost, Ingredient, Setting

INGREDIENT = Ingredient(
    key="MiWRC",
    title="residual sums with learned weights",
    family="special",
    sets=(Setting("backbone.residual", "relu", "plain"),),
    source="arXiv:2004.10934 sec. 3.4; arXiv:1911.09070 sec. 3.3; darknet weights_type",
    tasks=("detect", "classify"),
    cost=InferenceCost(parameters=46, bflops=0.0086528),
)
