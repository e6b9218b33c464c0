"""Optimised anchors.

The paper's are k-means of COCO's boxes at 512 px, here those of the user's own training boxes;
without it there are YOLOv3's. The paper's nine themselves are ``anchors: yolov4``.
"""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="OA",
    title="anchors by k-means on the training boxes",
    family="detector freebie",
    sets=(Setting("anchors", "optimised", "yolov3"),),
    source="arXiv:2004.10934 sec. 3.4 and table 4; darknet calc_anchors",
)
