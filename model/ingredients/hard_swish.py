"""Hard Swish in the backbone."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="hard-Swish",
    title="hard Swish in the backbone",
    family="special",
    sets=(Setting("backbone.activation", "hard-swish", "leaky"),),
    source="arXiv:1905.02244 sec. 5.2; arXiv:2004.10934 sec. 2.3",
    tasks=("detect", "classify"),
)
