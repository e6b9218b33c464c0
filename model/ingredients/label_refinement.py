"""Label refinement: class targets are mixed with what a trained teacher sees."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="KD",
    title="class targets refined by a teacher",
    family="regularisation",
    sets=(Setting("distill.teacher", None, ""),),
    source="arXiv:2004.10934 sec. 2.2; arXiv:1703.00551; arXiv:1503.02531",
    tasks=("detect", "classify"),
    needs="the checkpoint of a training on the same classes (evolve train --teacher)",
)
