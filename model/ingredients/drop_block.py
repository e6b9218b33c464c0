"""DropBlock as its paper has it."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="DropBlock",
    title="dropout of contiguous blocks",
    family="regularisation",
    sets=(Setting("drop.kind", "dropblock", "none"),),
    source="arXiv:1810.12890 alg. 1; arXiv:2004.10934 sec. 3.1",
    tasks=("detect", "classify"),
    acts="later",
)
