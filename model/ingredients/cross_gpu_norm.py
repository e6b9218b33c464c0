"""Batch normalisation over several GPUs."""

from model.ingredient import Ingredient

INGREDIENT = Ingredient(
    key="CGBN",
    title="batch statistics over several GPUs",
    family="regularisation",
    sets=(),
    source="arXiv:1803.08904; arXiv:2004.10934 sec. 3.1",
    not_offered="one training uses one GPU, for which the paper leaves it out, too",
)
