"""DropBlock as darknet has it."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="DropBlock-darknet",
    title="DropBlock, one block a channel",
    family="regularisation",
    sets=(Setting("drop.kind", "dropblock-darknet", "none"),),
    source="darknet src/dropout_layer_kernels.cu; arXiv:1810.12890",
    tasks=("detect", "classify"),
    acts="later",
)
