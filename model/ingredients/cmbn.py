"""Cross mini-batch normalisation: statistics gathered over the mini-batches of one update."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="CBN",
    title="cross mini-batch normalisation (CmBN)",
    family="regularisation",
    sets=(Setting("norm", "cmbn", "bn"),),
    source="arXiv:2004.10934 sec. 3.3, fig. 4 and table 4; darknet batch_normalize=2",
    tasks=("detect", "classify"),
    least=(("subdivisions", 2),),  # over one mini-batch it is BN
)
