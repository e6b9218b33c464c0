"""Random aspect of a classifier's images."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="Aspect",
    title="random aspect",
    family="classifier",
    sets=(Setting("augment.aspect", 0.75, 1.0),),
    source="arXiv:2004.10934 sec. 2.2; darknet aspect=.75",
    tasks=("classify",),
    in_baseline=True,
)
