"""Self-adversarial training."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="SAT",
    title="self-adversarial training",
    family="augmentation",
    sets=(Setting("sat.kind", "darknet", "none"),),
    source="arXiv:2004.10934 sec. 3.3; darknet adversarial_lr",
    acts="later",
)
