"""ReLU6 in the backbone."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="ReLU6",
    title="ReLU up to 6 in the backbone",
    family="special",
    sets=(Setting("backbone.activation", "relu6", "leaky"),),
    source="arXiv:1704.04861; arXiv:2004.10934 sec. 2.3",
    tasks=("detect", "classify"),
)
