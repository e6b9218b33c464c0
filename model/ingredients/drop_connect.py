"""DropConnect: dropout of the weights of fully connected layers."""

from model.ingredient import Ingredient

INGREDIENT = Ingredient(
    key="DropConnect",
    title="dropout of single weights",
    family="regularisation",
    sets=(),
    source="ICML 2013 p. 1058; arXiv:2004.10934 sec. 2.2",
    not_offered="it is defined for fully connected layers, and no network here has one",
)
