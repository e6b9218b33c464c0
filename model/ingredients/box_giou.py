"""One minus the generalised IoU as a box loss."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="GIoU",
    title="1 - generalised IoU",
    family="loss",
    # by the loss's own gradient, for which the published weights, 0.5 to 1, are not meant
    sets=(Setting("loss.box", "giou", "mse"), Setting("loss.iou_normalizer", 1.0, 0.75)),
    source="arXiv:1902.09630; arXiv:2004.10934 table 4; darknet iou_loss=giou",
)
