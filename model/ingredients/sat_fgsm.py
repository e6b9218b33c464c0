"""Adversarial training by the fast gradient sign method."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="SAT-FGSM",
    title="adversarial training by gradient signs",
    family="augmentation",
    sets=(Setting("sat.kind", "fgsm", "none"),),
    source="arXiv:1412.6572 sec. 5; arXiv:2004.10934 sec. 3.3",
    acts="later",  # once the warm-up is over
)
