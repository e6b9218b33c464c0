"""One minus the IoU as a box loss."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="IoU",
    title="1 - IoU",
    family="loss",
    # by the loss's own gradient, for which the published weights, 0.5 to 1, are not meant
    sets=(Setting("loss.box", "iou", "mse"), Setting("loss.iou_normalizer", 1.0, 0.75)),
    source="arXiv:1608.01471; arXiv:2004.10934 sec. 2.2; darknet iou_loss=iou",
)
