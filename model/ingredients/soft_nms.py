"""Suppression that lowers scores instead of removing boxes."""

from model.ingredient import InferenceCost, Ingredient, Setting

INGREDIENT = Ingredient(
    key="Soft-NMS",
    title="suppression by lower scores",
    family="special",
    sets=(Setting("nms.kind", "soft", "greedy"),),
    source="arXiv:1704.04503; arXiv:2004.10934 sec. 2.3",
    cost=InferenceCost(words="suppression one box at a time, each rescoring the rest"),
    acts="inference",
)
