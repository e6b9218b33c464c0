"""Filter response normalisation with its thresholded activation."""

from model.ingredient import InferenceCost, Ingredient, Setting

INGREDIENT = Ingredient(
    key="FRN",
    title="filter response normalisation",
    family="regularisation",
    sets=(Setting("norm", "frn", "bn"), Setting("backbone.activation", "tlu", "leaky")),
    source="arXiv:1911.09737; arXiv:2004.10934 sec. 3.1",
    tasks=("detect", "classify"),
    cost=InferenceCost(parameters=33_152, bflops=0.0),
)
