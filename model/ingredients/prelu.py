"""PReLU in the backbone."""

from model.ingredient import InferenceCost, Ingredient, Setting

INGREDIENT = Ingredient(
    key="PReLU",
    title="ReLU with learned slopes in the backbone",
    family="special",
    sets=(Setting("backbone.activation", "prelu", "leaky"),),
    source="arXiv:1502.01852; arXiv:2004.10934 sec. 2.3",
    tasks=("detect", "classify"),
    cost=InferenceCost(parameters=17_664, bflops=0.0),
)
