"""ReLU in the backbone."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="ReLU",
    title="ReLU in the backbone",
    family="special",
    sets=(Setting("backbone.activation", "relu", "leaky"),),
    source="ICML 2010 p. 807; arXiv:2004.10934 sec. 2.3",
    tasks=("detect", "classify"),
)
