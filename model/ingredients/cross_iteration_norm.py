"""Cross-iteration batch normalisation, of which CmBN is the simpler form."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="CrossIterBN",
    title="statistics of past updates, carried over",
    family="regularisation",
    sets=(Setting("norm", "cbn", "bn"),),
    source="arXiv:2002.05712; arXiv:2004.10934 fig. 4",
    tasks=("detect", "classify"),
    acts="later",
)
