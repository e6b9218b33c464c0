"""Stochastic depth."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="DropPath",
    title="residual branches left out at random",
    family="regularisation",
    sets=(Setting("drop.kind", "path", "none"),),
    source="arXiv:1603.09382 eq. 4; arXiv:1605.07648; arXiv:2004.10934 sec. 2.2",
    tasks=("detect", "classify"),
)
