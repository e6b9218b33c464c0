"""Suppression that spares boxes with distant centres."""

from model.ingredient import InferenceCost, Ingredient, Setting

INGREDIENT = Ingredient(
    key="DIoU-NMS",
    title="suppression by IoU and distance",
    family="special",
    sets=(Setting("nms.kind", "diou", "greedy"),),
    source="arXiv:1911.08287 sec. 3.4; arXiv:2004.10934 sec. 3.4; darknet nms_kind=diounms",
    cost=InferenceCost(words="a distance for every pair of boxes in suppression"),
    acts="inference",
)
