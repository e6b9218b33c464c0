"""More than one anchor for a truth."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="IT",
    title="IoU threshold: further anchors for a truth",
    family="detector freebie",
    sets=(Setting("loss.iou_threshold", 0.213, 1.0),),
    source="arXiv:2004.10934 sec. 3.4 and table 4; darknet iou_thresh",
)
